import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { StartError } from "../../lib/process/start-error.ts";
import { assertSuccess, open, type Transfer } from "./api.ts";

const NEWLINE = 10;

/**
 * Writes all products to a file, which appears when it is complete. The progress is the number of
 * lines, which in CSV can exceed that of rows.
 * @param signal cancels the export and removes the incomplete file
 * @returns number of lines
 */
export async function exportFile(
	{ url, token, file, format, show }: Transfer,
	signal: AbortSignal,
): Promise<number> {
	const { req, response } = open(`${url}/api/products/export?format=${format.name}`, {
		headers: { authorization: `Bearer ${token}` },
		signal,
	});
	req.end();
	const res = await response;
	await assertSuccess(res);
	const total = Number(res.headers["x-total-count"] ?? 0);
	let lines = 0;
	const count = new PassThrough();
	count.on("data", (chunk: Buffer) => {
		for (let i = chunk.indexOf(NEWLINE); i >= 0; i = chunk.indexOf(NEWLINE, i + 1)) lines++;
		show(Math.min(lines, total), total, lines);
	});
	// Another export may write the same file at the same time.
	const draft = `${file}.${randomUUID()}.part`;
	try {
		const steps = format.zipped ? [count, createGzip()] : [count];
		await pipeline([res, ...steps, createWriteStream(draft)], { signal });
		await rename(draft, file);
	} catch (error) {
		await rm(draft, { force: true });
		throw new StartError(`${file} could not be written: ${(error as Error).message}`);
	}
	return lines;
}
