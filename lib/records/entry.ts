/**
 * One row of a file: its value, or the reason why it cannot be read. `row` is the number that a
 * person sees: in CSV that of the spreadsheet's row, whose first is the header; in NDJSON that of
 * the line.
 */
export type Entry =
	| { readonly row: number; readonly value: unknown }
	| { readonly row: number; readonly problem: string };

/** Maximum size of one row, in bytes. */
export const MAX_ROW_BYTES = 128 * 1024;

const REPLACEMENT = "\ufffd";
const NOT_UTF8 =
	"The row contains bytes that are not UTF-8: save the file as UTF-8 (in Excel: CSV UTF-8)";

/**
 * Finds rows whose bytes are not UTF-8. Decoding replaces such bytes by U+FFFD, which valid text
 * can contain as well, so the bytes are checked until the first of them is invalid.
 */
export class Utf8Check {
	#decoder: InstanceType<typeof TextDecoder> | undefined = new TextDecoder("utf-8", {
		fatal: true,
	});

	/** Passes bytes on after checking them. */
	async *checked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
		for await (const chunk of bytes) {
			try {
				this.#decoder?.decode(chunk, { stream: true });
			} catch {
				this.#decoder = undefined;
			}
			yield chunk;
		}
	}

	/** Describes why a row of these texts is damaged; undefined for valid text. */
	damageOf(texts: readonly string[]): string | undefined {
		const isDamaged = !this.#decoder && texts.some((text) => text.includes(REPLACEMENT));
		return isDamaged ? NOT_UTF8 : undefined;
	}
}
