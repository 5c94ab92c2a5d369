import { Database, type Statement } from "../../lib/persistence/database.ts";

type Query = (text: string, values: readonly unknown[]) => Promise<object[]>;

/**
 * Replaces some SQL statements in a test process. The program itself contains no hook for this: a
 * node gets a bug from `node --import tools/chaos/bugs/….ts`, and a delay from a file in
 * tools/chaos/slow.
 * @param target pattern of the statement's name, and a word in its text that identifies the
 * database
 * @param other runs instead; `query` runs a statement unchanged
 */
export function replace(
	target: { name: RegExp; word: string },
	other: (query: Query, statement: Statement, values: readonly unknown[]) => Promise<object[]>,
) {
	if (process.env.NODE_ENV !== "test")
		throw new Error("Statements are replaced only with NODE_ENV=test");
	const original = Database.prototype.query;
	Database.prototype.query = async function (
		this: Database,
		statement: Statement | string,
		values: readonly unknown[] = [],
	) {
		const run: Query = (text, given) => original.call(this, text, given) as Promise<object[]>;
		if (
			typeof statement === "string" ||
			!target.name.test(statement.name) ||
			!statement.text.includes(target.word)
		)
			return original.call(this, statement, values);
		return other(run, statement, values);
	} as typeof original;
}

/**
 * Replaces a part of a statement's text.
 * @throws Error if the text does not contain it: without its bug, a run would prove nothing
 */
export function changed(text: string, part: string | RegExp, replacement: string): string {
	const result = text.replace(part, replacement);
	if (result === text) throw new Error(`The statement does not contain ${part}: ${text}`);
	return result;
}
