import { join } from "node:path";
import { Database, type Statement } from "../../lib/persistence/database.ts";

type Query = (statement: Statement | string, values: readonly unknown[]) => Promise<object[]>;
const root = join(import.meta.dirname, "../..");

/**
 * Replaces SQL statements in a test process. The program itself contains no hook for this: a node
 * gets a bug from `node --import tools/chaos/bugs/….ts`, and a delay from a file in
 * tools/chaos/slow.
 * @param file the module of the statements, from the project root
 * @param names of the module's exports
 * @param other runs instead; `query` runs a statement unchanged
 * @throws Error if the module does not export a statement: without its bug, a run would prove
 * nothing
 */
export async function replace(
	file: string,
	names: readonly string[],
	other: (query: Query, statement: Statement, values: readonly unknown[]) => Promise<object[]>,
): Promise<void> {
	if (process.env.NODE_ENV !== "test")
		throw new Error("Statements are replaced only with NODE_ENV=test");
	const module = (await import(join(root, file))) as Record<string, Partial<Statement> | undefined>;
	const targets = names.map((name) => {
		const { text } = module[name] ?? {};
		if (text === undefined) throw new Error(`${file} exports no statement ${name}`);
		return text;
	});
	const original = Database.prototype.query;
	Database.prototype.query = async function (
		this: Database,
		statement: Statement | string,
		values: readonly unknown[] = [],
	) {
		const run: Query = (another, given) => original.call(this, another, given) as Promise<object[]>;
		if (typeof statement === "string" || !targets.includes(statement.text))
			return original.call(this, statement, values);
		return other(run, statement, values);
	} as typeof original;
}

/**
 * Replaces a part of a statement's text.
 * @throws Error if the text does not contain it: without its bug, a run would prove nothing
 */
export function changed(
	{ name, text, ...statement }: Statement,
	part: string | RegExp,
	replacement: string,
): Statement {
	const result = text.replace(part, replacement);
	if (result === text) throw new Error(`The statement does not contain ${part}: ${text}`);
	return { ...statement, name: `${name}_changed`, text: result };
}
