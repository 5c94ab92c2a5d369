import { Database, type Statement } from "../../lib/persistence/database.ts";

type Query = (text: string, values: readonly unknown[]) => Promise<object[]>;

/**
 * Puts something else in the place of some statements, in a process of a test. Nothing of the program knows of this: a node gets a bug by
 * being started with `node --import chaos/bugs/….ts`, and is slow with one of chaos/slow.
 * @param fits what the statement's name is like, and a word in its text that tells the database
 */
export function replace(
	fits: { name: RegExp; word: string },
	other: (query: Query, statement: Statement, values: readonly unknown[]) => Promise<object[]>,
) {
	if (process.env.NODE_ENV !== "test") throw new Error("Bugs are for tests only");
	const original = Database.prototype.query;
	Database.prototype.query = async function (
		this: Database,
		statement: Statement | string,
		values: readonly unknown[] = [],
	) {
		const run: Query = (text, given) => original.call(this, text, given) as Promise<object[]>;
		if (
			typeof statement === "string" ||
			!fits.name.test(statement.name) ||
			!statement.text.includes(fits.word)
		)
			return original.call(this, statement, values);
		return other(run, statement, values);
	} as typeof original;
}

/** A statement's text with something else in one place. @throws if it has no such place any more: a bug that is none would prove nothing. */
export function changed(text: string, place: string | RegExp, other: string): string {
	const result = text.replace(place, other);
	if (result === text) throw new Error(`Nothing like ${place} is in: ${text}`);
	return result;
}
