import { isDeepStrictEqual } from "node:util";

/** Value of an attribute. */
export type AttributeValue = string | number | boolean | string[];

const SEPARATOR = "|";
/** A number as in JSON. `007` is text. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const DECIMAL_COMMA = /^[+-]?\d{1,3}(?:\.?\d{3})*,\d+$|^[+-]?\d+,\d+$/;

/** A cell cannot be converted. The message explains how to write it. */
export class CellError extends Error {}

/** Elements of a list, which `|` separates. */
export const splitList = (cell: string): string[] =>
	cell
		.split(SEPARATOR)
		.map((element) => element.trim())
		.filter((element) => element !== "");
/** Inverse of {@link splitList} for elements without `|` and outer spaces. */
export const joinList = (elements: readonly string[]): string => elements.join(SEPARATOR);

/**
 * Converts a cell to the value of an attribute: `true`, `12.5`, `red`, or `red|blue` for a list.
 * Text in JSON quotes is text ("12"), and a JSON array is a list.
 * @throws CellError for a number with a decimal comma
 */
export function readAttribute(cell: string): AttributeValue {
	const text = cell.trim();
	const quoted = parseJson(text);
	if (quoted !== undefined) return quoted;
	if (text === "true" || text === "false") return text === "true";
	if (NUMBER.test(text) && Number.isFinite(Number(text))) return Number(text);
	if (DECIMAL_COMMA.test(text))
		throw new CellError(
			`Write the number with a decimal point (${pointed(text)}), or text in quotes ("${text}")`,
		);
	return text.includes(SEPARATOR) ? splitList(text) : text;
}

/** Text in JSON quotes or a JSON array of texts; undefined for anything else. */
function parseJson(text: string): AttributeValue | undefined {
	if (!/^["[]/.test(text)) return undefined;
	try {
		const value: unknown = JSON.parse(text);
		const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
		return typeof value === "string" || isList ? (value as AttributeValue) : undefined;
	} catch {
		return undefined;
	}
}

/** Formats the value of an attribute, so that {@link readAttribute} returns the same value. */
export function formatAttribute(value: AttributeValue): string {
	const plain = Array.isArray(value) ? joinList(value) : String(value);
	return isRead(plain, value) ? plain : JSON.stringify(value);
}

function isRead(cell: string, value: AttributeValue): boolean {
	try {
		return cell !== "" && isDeepStrictEqual(readAttribute(cell), value);
	} catch {
		return false;
	}
}

/** @throws CellError unless the cell is a number without sign, with a decimal point */
export function readPrice(cell: string): number {
	if (/^\d+(?:\.\d+)?$/.test(cell)) return Number(cell);
	throw new CellError(
		DECIMAL_COMMA.test(cell)
			? `Write the price with a decimal point and without separators: ${pointed(cell)}, not ${cell}`
			: "The price must be a number with a decimal point, such as 1234.56",
	);
}

/** @throws CellError unless the cell is a whole number */
export function readStock(cell: string): number {
	if (/^\d+$/.test(cell)) return Number(cell);
	throw new CellError("The stock must be a whole number without separators, such as 1200");
}

/** A number with a decimal comma, written with a decimal point. */
const pointed = (cell: string): string => cell.replaceAll(".", "").replace(",", ".");
