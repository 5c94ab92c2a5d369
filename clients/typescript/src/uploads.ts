import { type Lazy, lazy } from "./lazy.ts";
import type { RequestOptions } from "./options.ts";
import { NetworkError, ProblemError } from "./problems.ts";

/** File of rows, in UTF-8. A stream can be sent only once, and browsers require HTTP/2 for it. */
export type UploadFile = string | Blob | Uint8Array | ReadableStream<Uint8Array>;
export interface UploadOptions extends Omit<RequestOptions, "timeout"> {
	readonly format: "csv" | "ndjson";
	/** The file is compressed. */
	readonly encoding?: "gzip";
}

/** Number of rows that have been processed so far. */
export interface UploadProgress {
	readonly rows: number;
}
/** Each row counts once: as created, updated, unchanged or failed. */
export interface UploadSummary<K extends string = string> {
	readonly done: true;
	readonly created: number;
	readonly updated: number;
	readonly unchanged: number;
	readonly failed: number;
	/** Errors of the first 1,000 failed rows. */
	readonly errors: readonly RowError<K>[];
}
export type RowError<K extends string> = {
	readonly row: number;
	/** Column, if it is known. */
	readonly field: string | null;
	readonly message: string;
} & { readonly [key in K]: string | null };

/**
 * File that is sent when it is awaited or iterated. `await` returns the summary; `for await` also
 * returns the progress. Leaving the loop early cancels the upload; rows that were applied before
 * remain.
 */
export interface Upload<K extends string = string>
	extends Lazy<UploadSummary<K>>,
		AsyncIterable<UploadProgress | UploadSummary<K>> {}

const MEDIA_TYPES = { csv: "text/csv", ndjson: "application/x-ndjson" } as const;

export const uploadHeaders = ({ format, encoding }: UploadOptions): Record<string, string> => ({
	accept: "application/x-ndjson, application/problem+json",
	"content-type": MEDIA_TYPES[format],
	...(encoding ? { "content-encoding": encoding } : {}),
});

/** @param open sends the file */
export function toUpload<K extends string>(open: () => Promise<Response>): Upload<K> {
	let summary: Promise<UploadSummary<K>> | undefined;
	const lines = readLines<K>(open);
	async function drain(): Promise<UploadSummary<K>> {
		for await (const line of lines) if ("done" in line) return line;
		throw new NetworkError("The upload was cancelled", 1);
	}
	return {
		...lazy(() => {
			summary ??= drain();
			return summary;
		}),
		async *[Symbol.asyncIterator]() {
			let last: UploadSummary<K> | undefined;
			for await (const line of lines) {
				if ("done" in line) last = line;
				yield line;
			}
			if (last) summary ??= Promise.resolve(last);
		},
	};
}

/**
 * @throws ProblemError if the shop stopped before the last row; NetworkError if the connection was
 * lost. In both cases the file can be sent again: rows that were applied are unchanged.
 */
async function* readLines<K extends string>(open: () => Promise<Response>) {
	const response = await open();
	for await (const text of linesOf(response)) {
		const line = JSON.parse(text) as
			| UploadProgress
			| UploadSummary<K>
			| ({ readonly done: false } & Record<string, unknown>);
		if ("done" in line && !line.done) {
			const { done: _, ...members } = line;
			throw new ProblemError(response.status, members, response.headers, 1);
		}
		yield line;
		if ("done" in line) return;
	}
	throw new NetworkError("The response ended before the summary: send the file again", 1);
}

/** @throws NetworkError if the connection is lost */
async function* linesOf({ body }: Response): AsyncGenerator<string, void, undefined> {
	const reader = body!.getReader();
	const decoder = new TextDecoder();
	try {
		for (let rest = ""; ; ) {
			const { done, value } = await reader.read().catch((error: unknown) => {
				throw new NetworkError("The connection of the upload was lost: send it again", 1, error);
			});
			if (done) return;
			const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
			rest = lines.pop()!;
			yield* lines;
		}
	} finally {
		reader.cancel().catch(() => undefined);
	}
}
