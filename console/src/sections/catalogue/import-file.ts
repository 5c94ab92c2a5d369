export type Format = "csv" | "ndjson";

/** Format of a file by its name; undefined for an unknown extension. */
export function formatOf(name: string): Format | undefined {
	const [, extension] = /\.(csv|ndjson|jsonl)(?:\.gz)?$/i.exec(name) ?? [];
	if (extension === undefined) return undefined;
	return extension.toLowerCase() === "csv" ? "csv" : "ndjson";
}

const [NEWLINE, QUOTE] = [10, 34];

/**
 * Counts the rows of a file that passes through: lines that are not empty. In CSV, line breaks in
 * quotes belong to a cell, and the header is not a row. The count is for the display of progress.
 */
export function rowCounter(format: Format): {
	readonly stream: TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>;
	count(): number;
} {
	let [lines, isQuoted, isEmpty] = [0, false, true];
	return {
		stream: new TransformStream({
			transform(chunk, controller) {
				for (const byte of chunk) {
					if (byte === NEWLINE && !isQuoted) {
						if (!isEmpty) lines++;
						isEmpty = true;
					} else {
						if (byte === QUOTE && format === "csv") isQuoted = !isQuoted;
						isEmpty = false;
					}
				}
				controller.enqueue(chunk);
			},
		}),
		count: () => Math.max(0, lines + (isEmpty ? 0 : 1) - (format === "csv" ? 1 : 0)),
	};
}
