import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { ProblemError } from "../../../../clients/typescript/src/index.ts";
import { numberOf, rowsOf, textOf } from "../../form-values.ts";

export type Product = ResultOf<"products.get">;
export type Variant = Product["variants"][number];
type AttributeValue = Product["attributes"][string];

/** Types of the values of attributes, with their labels. */
export const KINDS = {
	text: "Text",
	number: "Number",
	boolean: "Yes or no",
	list: "List",
} as const;
type Kind = keyof typeof KINDS;
/** Separates the values of a list, as in a CSV file. */
const SEPARATOR = "|";

/** An attribute as its fields have it. */
export interface AttributeRow {
	readonly name: string;
	readonly kind: Kind;
	readonly value: string;
}
export const attributeRows = (attributes: Product["attributes"]): AttributeRow[] =>
	Object.entries(attributes).map(([name, value]) => ({
		name,
		kind: kindOf(value),
		value: textOfValue(value),
	}));

function kindOf(value: AttributeValue): Kind {
	if (Array.isArray(value)) return "list";
	return typeof value === "string" ? "text" : (typeof value as "number" | "boolean");
}
/** Text of an attribute, such as `red|blue` for a list; a JSON array if a value contains `|`. */
function textOfValue(value: AttributeValue): string {
	if (!Array.isArray(value)) return String(value);
	const joined = value.join(SEPARATOR);
	return JSON.stringify(listOf(joined)) === JSON.stringify(value) ? joined : JSON.stringify(value);
}

/** List in a text, which `|` separates or which is a JSON array of texts. */
function listOf(text: string): string[] {
	const array = text.startsWith("[") ? jsonArrayOf(text) : undefined;
	if (array) return array;
	return text
		.split(SEPARATOR)
		.map((one) => one.trim())
		.filter((one) => one !== "");
}
function jsonArrayOf(text: string): string[] | undefined {
	try {
		const value: unknown = JSON.parse(text);
		const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
		return isList ? value : undefined;
	} catch {
		return undefined;
	}
}

function attributeOf({ kind, value = "" }: Readonly<Record<string, string>>): AttributeValue {
	if (kind === "number") return value === "" ? Number.NaN : Number(value);
	if (kind === "boolean") return value === "true";
	return kind === "list" ? listOf(value) : value;
}

/**
 * Attributes in the rows of a form.
 * @throws ProblemError at a name that another row has too, because an attribute has one value
 */
function readAttributes(values: FormData): Product["attributes"] {
	const rows = rowsOf(values, "attributes");
	const names = rows.map(({ name = "" }) => name);
	const errors = names.flatMap((name, i) => {
		const first = names.indexOf(name);
		const message = `Row ${first + 1} has the same name`;
		return first < i
			? [{ field: `attributes[${i}].name`, code: "DUPLICATE_ATTRIBUTE", message }]
			: [];
	});
	if (errors.length > 0) {
		const detail = "Two attributes have the same name";
		throw new ProblemError(422, { code: "DUPLICATE_ATTRIBUTE", detail, errors }, new Headers(), 0);
	}
	return Object.fromEntries(rows.map((row, i) => [names[i]!, attributeOf(row)]));
}

/**
 * Fields of a product in every form. Blank ones are undefined, or null if that is a value.
 * @throws ProblemError if two attributes have the same name
 */
export const readFields = (values: FormData) => ({
	name: textOf(values, "name"),
	description: textOf(values, "description") || null,
	price: numberOf(values, "price"),
	currency: textOf(values, "currency").toUpperCase(),
	category: textOf(values, "category"),
	sku: textOf(values, "sku") || null,
	attributes: readAttributes(values),
	images: rowsOf(values, "images").map(({ url = "", alt = "" }) => ({ url, alt })),
});

/** Fields that are not blank. */
export const definedFields = <T extends object>(
	fields: T,
): Partial<{ [K in keyof T]: NonNullable<T[K]> }> =>
	Object.fromEntries(
		Object.entries(fields).filter(
			([, value]) =>
				value !== undefined &&
				value !== null &&
				value !== "" &&
				(typeof value !== "object" || Object.keys(value).length > 0),
		),
	) as never;

/** Names of the options of variants, which commas separate; null if there are none. */
export function readOptionNames(values: FormData): string[] | null {
	const names = textOf(values, "option_names")
		.split(",")
		.map((name) => name.trim())
		.filter((name) => name !== "");
	return names.length > 0 ? names : null;
}

/** Options of a variant. @param names those of its parent */
export const readOptions = (values: FormData, names: readonly string[]): Record<string, string> =>
	Object.fromEntries(names.map((name) => [name, textOf(values, `options.${name}`)]));

/** Fields that a variant can inherit from its product; a price together with its currency. */
export const INHERITED = [
	"name",
	"price",
	"category",
	"description",
	"attributes",
	"images",
] as const;

/** Changes of a variant without the fields that it inherits again, and their names. */
export function withInherited<T extends object>(values: FormData, changes: T) {
	const inherit = INHERITED.filter((field) => values.has(`inherit.${field}`));
	if (inherit.length === 0) return changes;
	const omitted = new Set<string>(inherit.includes("price") ? [...inherit, "currency"] : inherit);
	const own = Object.entries(changes).filter(([field]) => !omitted.has(field));
	return { ...(Object.fromEntries(own) as Partial<T>), inherit };
}

/** Name of the input for a field that the shop has rejected. */
export function inputOf(values: FormData, field: string): string {
	const position = rowsOf(values, "attributes").findIndex(
		({ name }) => field === `attributes.${name}` || field.startsWith(`attributes.${name}[`),
	);
	if (position !== -1) return `attributes[${position}].value`;
	return field.replace(/^option_names\[\d+\]$/, "option_names");
}

/** Names of the editable fields. */
export const LABELS: Readonly<Record<string, string>> = {
	name: "Name",
	description: "Description",
	price: "Price",
	currency: "Currency",
	category: "Category",
	sku: "SKU",
	option_names: "Options of variants",
	options: "Options",
	attributes: "Attributes",
	images: "Images",
};
interface FieldChange {
	readonly field: string;
	readonly from: string;
	readonly to: string;
}
/** Editable fields in which two versions of a product differ. */
export const differences = (before: Product, after: Product): FieldChange[] =>
	Object.keys(LABELS)
		.map((field) => ({
			field,
			from: describe(before[field as keyof Product]),
			to: describe(after[field as keyof Product]),
		}))
		.filter(({ from, to }) => from !== to);

/** Text of the value of a field. */
export function describe(value: unknown): string {
	if (typeof value === "boolean") return value ? "yes" : "no";
	if (value === null || value === undefined || value === "") return "none";
	if (Array.isArray(value)) return value.map(describe).join(", ") || "none";
	if (typeof value !== "object") return String(value);
	const members = Object.entries(value).map(([name, one]) => `${name}: ${describe(one)}`);
	return members.join(", ") || "none";
}
