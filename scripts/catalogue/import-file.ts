import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { StartError } from "../../lib/process/start-error.ts";
import { assertSuccess, open, type Transfer } from "./api.ts";

/** Last line of the response. */
export interface ImportSummary {
	/** False if the import failed; `detail` is the reason. */
	readonly done: boolean;
	readonly detail?: string;
	readonly created: number;
	readonly updated: number;
	readonly unchanged: number;
	readonly failed: number;
	readonly errors: readonly {
		readonly row: number;
		readonly sku: string | null;
		readonly field: string | null;
		readonly message: string;
	}[];
}

/** Sends a file to the shop. The progress is the part of the file that has been sent. */
export async function importFile({ url, token, file, format, show }: Transfer) {
	const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
		throw new StartError(`Cannot read ${file}: ${error.message}`);
	});
	const { req, response } = open(`${url}/api/products/import`, {
		method: "POST",
		headers: {
			authorization: `Bearer ${token}`,
			"content-type": format.type,
			"content-length": size,
			...(format.zipped ? { "content-encoding": "gzip" } : {}),
		},
	});
	let [sent, rows] = [0, 0];
	const source = createReadStream(file);
	source.on("data", (chunk) => {
		sent += chunk.length;
		show(sent, size, rows);
	});
	// `pipe`, because `pipeline` would destroy the request before its response has been read.
	source.once("error", (error) => req.destroy(error)).pipe(req);
	const res = await response;
	await assertSuccess(res).catch((error) => {
		source.unpipe(req);
		throw error;
	});
	let last: Partial<ImportSummary> & { rows?: number } = {};
	const readLines = async () => {
		for await (const line of createInterface(res)) {
			last = JSON.parse(line);
			rows = last.rows ?? rows;
			show(sent, size, rows);
		}
	};
	await readLines().catch(() => undefined);
	if (last.done === undefined)
		throw new StartError(`The shop closed the connection after ${rows} rows; start it again`);
	return last as ImportSummary;
}
