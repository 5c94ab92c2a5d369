/**
 * Program: imports the modules named on the command line and prints every prepared statement that
 * they define, as JSON. A load hook makes `sql` in lib/persistence/database.ts record its results.
 */
import { registerHooks } from "node:module";
import type { Statement } from "../../lib/persistence/database.ts";

const statements: Statement[] = [];
Object.assign(globalThis, {
	recordStatement: (statement: Statement) => statements.push(statement),
});

const DEFINITION = "export const sql =";
registerHooks({
	load(url, context, nextLoad) {
		const loaded = nextLoad(url, context);
		if (!url.endsWith("/lib/persistence/database.ts")) return loaded;
		const source = String(loaded.source);
		if (!source.includes(DEFINITION)) throw new Error(`${url} defines sql in another way`);
		const recording = `export const sql = (name, text) => {
			const statement = makeStatement(name, text);
			globalThis.recordStatement(statement);
			return statement;
		};\n`;
		return { ...loaded, source: source.replace(DEFINITION, "const makeStatement =") + recording };
	},
});

for (const file of process.argv.slice(2)) await import(file);
process.stdout.write(JSON.stringify(statements), () => process.exit());
