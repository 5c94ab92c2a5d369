import type { RowError, UploadResult } from "../../../lib/contracts/transfers.ts";

/** Number of errors that a report lists; further ones are only counted. */
const MAX_ERRORS = 1000;

/** Counts the rows of an upload and collects their errors. */
export class UploadReport {
	readonly #key: string;
	readonly #errors: RowError[] = [];
	#created = 0;
	#updated = 0;
	#unchanged = 0;
	#failed = 0;

	/** @param key name of the column that identifies a row */
	constructor(key: string) {
		this.#key = key;
	}

	/** Number of rows whose result is known. */
	get rows(): number {
		return this.#created + this.#updated + this.#unchanged + this.#failed;
	}

	add({ created, updated, unchanged, errors }: UploadResult): void {
		this.#created += created;
		this.#updated += updated;
		this.#unchanged += unchanged;
		for (const error of errors) this.fail(error);
	}

	fail(error: RowError): void {
		this.#failed++;
		if (this.#errors.length < MAX_ERRORS) this.#errors.push(error);
	}

	/** The summary, with errors in order of rows. */
	summary(): object {
		return {
			created: this.#created,
			updated: this.#updated,
			unchanged: this.#unchanged,
			failed: this.#failed,
			errors: this.#errors
				.toSorted((a, b) => a.row - b.row)
				.map(({ row, key, field, message }) => ({ row, [this.#key]: key, field, message })),
		};
	}
}
