import type { Ctx } from "../../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../../lib/contracts/errors.ts";
import type { DownloadPart, Format } from "../../../lib/contracts/transfers.ts";
import { approximateCount } from "../../../lib/persistence/approximate-count.ts";
import type { Database } from "../../../lib/persistence/database.ts";
import { isUuid } from "../../../lib/persistence/id.ts";
import { BYTE_ORDER_MARK, formatCsv } from "../../../lib/records/csv.ts";
import { formatNdjson } from "../../../lib/records/ndjson.ts";
import { batchBytesOf } from "../../../lib/resilience/message-size.ts";
import { isUnavailable } from "../../../lib/resilience/outages.ts";
import type {} from "../../inventory/inventory.contract.ts";
import { columnsOf, type ExportedProduct, toCells, toObject } from "./export.rules.ts";
import { fileSku } from "./product.rules.ts";
import * as statements from "./statements.ts";

interface Self {
	readonly db: Database;
	readonly broker: object;
}
/** Position behind a row: its family, a parent with its variants, and its ID. */
interface Cursor {
	readonly family: string;
	readonly id: string;
	/** Columns of a CSV file. */
	readonly columns: readonly string[];
}

/** Milliseconds in which the inventory must return the stock of a page; it takes a few. */
const STOCK_TIMEOUT_MS = 3000;
const NIL = "00000000-0000-0000-0000-000000000000";
/** Maximum size of the header of a CSV file, which every cursor contains, in bytes. */
const MAX_HEADER_BYTES = 60_000;

/**
 * Returns one part of a file with all products: parents before their variants, in order of IDs.
 * Products that change while the file is read are exported before or after their change.
 * @throws SERVICE_UNAVAILABLE for the first part if the inventory is unavailable: a file without
 * stock would set it to 0 in another shop
 */
export async function exportPart(
	self: Self,
	ctx: Ctx,
	{ format, cursor }: { format: Format; cursor?: string },
): Promise<DownloadPart> {
	const after = cursor === undefined ? await start(self.db, format) : parse(cursor);
	const page = await readPage(self, ctx, after);
	const limit = batchBytesOf(self.broker) / 2;
	const rows: string[] = [];
	let bytes = 0;
	for (const product of page) {
		const text =
			format === "csv"
				? formatCsv([toCells(product, after.columns)])
				: formatNdjson([toObject(product)]);
		bytes += Buffer.byteLength(text);
		if (rows.length > 0 && bytes > limit) break;
		rows.push(text);
	}
	const last = page[rows.length - 1];
	return {
		text: header(format, cursor === undefined ? after.columns : []) + rows.join(""),
		cursor: last ? JSON.stringify({ ...after, family: last.family, id: last.id }) : null,
		...(cursor === undefined
			? { rows: await approximateCount(self.db, statements.ALL_PRODUCTS) }
			: {}),
	};
}

const header = (format: Format, columns: readonly string[]): string =>
	format === "csv" && columns.length > 0 ? BYTE_ORDER_MARK + formatCsv([columns]) : "";

async function start(db: Database, format: Format): Promise<Cursor> {
	if (format === "ndjson") return { family: NIL, id: NIL, columns: [] };
	const [names] = await db.query<{ options: string[]; attributes: string[] }>(
		statements.EXPORT_COLUMNS,
	);
	const columns = columnsOf(names!.options, names!.attributes);
	if (Buffer.byteLength(JSON.stringify(columns)) > MAX_HEADER_BYTES)
		throw invalidField("format", "COLUMNS", "Too many attribute names for CSV: export ndjson");
	return { family: NIL, id: NIL, columns };
}

/** @throws VALIDATION_ERROR for text that is no cursor */
function parse(cursor: string): Cursor {
	try {
		const { family, id, columns } = JSON.parse(cursor) as Cursor;
		if (isUuid(family) && isUuid(id) && Array.isArray(columns)) return { family, id, columns };
	} catch {
		// The same error as for JSON that is no cursor.
	}
	throw invalidField("cursor", "CURSOR", "The cursor is not valid");
}

/** Products behind a cursor, with their stock and the SKUs of their parents. */
async function readPage(self: Self, ctx: Ctx, { family, id }: Cursor): Promise<ExportedProduct[]> {
	const found = await self.db.query<Omit<ExportedProduct, "stock" | "parent_sku"> & object>(
		statements.EXPORT_PAGE,
		[family],
	);
	const skus = new Map(found.map((one) => [one.id, fileSku(one)]));
	// The previous part may have ended within a family.
	const isNext = (one: { family: string; id: string }) =>
		one.family !== family || (one.id !== family && (id === family || one.id > id));
	const page = found.filter(isNext);
	const product_ids = page.map((one) => one.id);
	const options = { timeout: STOCK_TIMEOUT_MS };
	const stock = await (page.length === 0
		? []
		: ctx.call("inventory.resolve", { product_ids }, options).catch((error) => {
				// Gateways repeat an outage: a file that has begun must be completed.
				if (family !== NIL || !isUnavailable(error)) throw error;
				throw commonError("SERVICE_UNAVAILABLE", { service: "inventory" });
			}));
	return page.map((one, i) => ({
		...one,
		parent_sku: one.parent_id ? (skus.get(one.parent_id) ?? one.parent_id) : null,
		stock: stock[i]?.on_hand ?? 0,
	}));
}
