import { type Infer, list, object, shape } from "./schema.ts";

const format = { type: "enum", values: ["csv", "ndjson"] } as const;
export type Format = "csv" | "ndjson";
const count = { type: "number", integer: true, min: 0 } as const;

/** Maximum number of rows in one call of an action with `upload`. */
const UPLOAD_ROWS = 500;

/**
 * Parameters of an action with `upload`: some rows of a file, in order. `columns` is the header of
 * a CSV file, whose rows are lists of cells, and empty for NDJSON, whose rows are objects. A file
 * without rows is sent as one call without rows, so that its header is checked.
 */
export const uploadBatch = shape({
	format,
	columns: list({ type: "string" }),
	rows: list(object({ row: count, value: { type: "any" } }), { max: UPLOAD_ROWS }),
});
export type UploadBatch = Infer<typeof uploadBatch>;

/**
 * Result of a batch. Each row counts once: as created, updated, unchanged or with its first error.
 * `key` is the row's key, `field` the column; both are null if unknown.
 */
export const uploadResult = object({
	created: count,
	updated: count,
	unchanged: count,
	errors: list(
		object({
			row: count,
			key: { type: "string", nullable: true },
			field: { type: "string", nullable: true },
			message: { type: "string" },
		}),
	),
});
export type UploadResult = Infer<(typeof uploadResult)["props"]>;
export type RowError = UploadResult["errors"][number];

/** Parameters of an action with `download`. Only gateways set `cursor`, of the previous part. */
export const downloadRequest = shape({
	format: { ...format, default: "csv" },
	cursor: { type: "string", max: 65_536, optional: true },
});
/**
 * One part of a file. `cursor` requests the next part, and is null for the last one. The first part
 * has the approximate number of rows in the file.
 */
export const downloadPart = object({
	text: { type: "string" },
	cursor: { type: "string", nullable: true },
	rows: { ...count, optional: true },
});
export type DownloadPart = Infer<(typeof downloadPart)["props"]>;

/** Media types of files, without parameters. */
export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
	csv: "text/csv",
	ndjson: "application/x-ndjson",
};
