import type { Infer } from "../../../lib/contracts/schema.ts";
import type { Format, RowError } from "../../../lib/contracts/transfers.ts";
import {
	type FieldError,
	toFieldErrors,
	type Violation,
} from "../../../lib/contracts/violations.ts";
import type { fileRow } from "../products.contract.files.ts";
import {
	type AttributeValue,
	CellError,
	readAttribute,
	readPrice,
	readStock,
	splitList,
} from "./cells.rules.ts";

/** Columns of an exported CSV file, in order. `options.NAME` and `attributes.NAME` follow. */
export const COLUMNS = [
	"sku",
	"parent_sku",
	"name",
	"description",
	"price",
	"currency",
	"category",
	"stock",
	"option_names",
	"images",
] as const;
export const OPTION = "options.";
export const ATTRIBUTE = "attributes.";

type Fields = Infer<typeof fileRow>;
/** A valid row of a file. */
export interface FileRow extends Fields {
	readonly row: number;
	/** Attributes with a column in a CSV file. Others of an existing product remain. */
	readonly attributeColumns?: readonly string[];
}
/** Checks fields against the contract; returns true or the violations, and fills in defaults. */
export type RowCheck = (fields: object) => true | Violation[];

/** Describes an unknown or missing column; undefined for a valid header. */
export function problemOfColumns(columns: readonly string[]): string | undefined {
	const known = new Set<string>(COLUMNS);
	const unknown = columns.find(
		(name) =>
			!known.has(name) &&
			!(name.startsWith(OPTION) && name.length > OPTION.length) &&
			!(name.startsWith(ATTRIBUTE) && name.length > ATTRIBUTE.length),
	);
	if (unknown)
		return (
			`Unknown column "${unknown.slice(0, 100)}"; ` +
			`the columns are ${COLUMNS.join(", ")}, options.NAME and attributes.NAME`
		);
	return columns.includes("sku") ? undefined : "The column sku is missing: it identifies the rows";
}

/**
 * Creates a function that converts a row of a file to fields and validates them.
 * @param columns header of a CSV file
 */
export function rowReader(format: Format, columns: readonly string[], check: RowCheck) {
	const attributeColumns = columns
		.filter((name) => name.startsWith(ATTRIBUTE))
		.map((name) => name.slice(ATTRIBUTE.length));
	const toFields =
		format === "csv" ? cellReader(columns) : (value: unknown) => ({ ...(value as object) });

	return ({ row, value }: { row: number; value?: unknown }): FileRow | RowError => {
		const key = keyOf(
			format === "csv"
				? (value as string[])[columns.indexOf("sku")]
				: (value as Partial<Fields>).sku,
		);
		try {
			const fields = toFields(value as string[]);
			const result = check(fields);
			if (result !== true) return { row, key, ...errorOf(result) };
			return { row, ...(fields as Fields), ...(format === "csv" ? { attributeColumns } : {}) };
		} catch (error) {
			if (!(error instanceof ColumnError)) throw error;
			return { row, key, field: error.column, message: error.message };
		}
	};
}

const keyOf = (sku: unknown): string | null =>
	typeof sku === "string" && sku.trim() !== "" ? sku.trim().slice(0, 100) : null;

/** The first error of a row. A file can contain names of any length. */
function errorOf(violations: readonly Violation[]): Pick<RowError, "field" | "message"> {
	const [{ field, message }] = violations.flatMap(toFieldErrors) as [FieldError];
	return { field: field.slice(0, 100) || null, message: message.slice(0, MAX_MESSAGE) };
}
const MAX_MESSAGE = 300;

class ColumnError extends Error {
	readonly column: string;
	constructor(column: string, message: string) {
		super(message);
		this.column = column;
	}
}

type Assign = (fields: Record<string, unknown>, cell: string) => void;

/** Creates a function that converts the cells of a row. */
function cellReader(columns: readonly string[]): (cells: readonly string[]) => object {
	const assigns = columns.map(assignmentOf);
	return (cells) => {
		const fields: Record<string, unknown> = {};
		cells.forEach((cell, i) => {
			try {
				assigns[i]!(fields, cell);
			} catch (error) {
				if (!(error instanceof CellError)) throw error;
				throw new ColumnError(columns[i]!, error.message);
			}
		});
		return fields;
	};
}

/** Conversions of cells that are not blank. Other columns contain text. */
const READERS: Readonly<Record<string, (cell: string) => unknown>> = {
	price: readPrice,
	stock: readStock,
	option_names: splitList,
	images: (cell) => splitList(cell).map((url) => ({ url })),
};

function assignmentOf(column: string): Assign {
	if (column.startsWith(OPTION))
		return member("options", column.slice(OPTION.length), (cell) => cell);
	if (column.startsWith(ATTRIBUTE))
		return member("attributes", column.slice(ATTRIBUTE.length), readAttribute);
	// Spaces around a description belong to it.
	if (column === "description")
		return (fields, cell) => {
			fields.description = cell === "" ? null : cell;
		};
	const read = READERS[column] ?? ((cell: string) => cell);
	return (fields, cell) => {
		const text = cell.trim();
		fields[column] = text === "" ? null : read(text);
	};
}

/** Assigns an element of `options` or `attributes`, which is null if all its cells are blank. */
const member =
	(field: string, name: string, read: (cell: string) => AttributeValue): Assign =>
	(fields, cell) => {
		const text = cell.trim();
		if (!(field in fields)) fields[field] = null;
		if (text === "") return;
		const record = (fields[field] ?? Object.create(null)) as Record<string, AttributeValue>;
		record[name] = read(text);
		fields[field] = record;
	};
