import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Statement } from "../../lib/persistence/database.ts";
import { filesIn, read } from "./imports.ts";

/** All prepared statements in the folders. They are defined when their modules load. */
export function preparedStatements(
	root: string,
	...folders: string[]
): Pick<Statement, "name" | "text">[] {
	const files = filesIn(root, ...folders)
		.filter((file) => /\.ts$/.test(file) && !/\.test\.ts$|\/test\//.test(file))
		.filter((file) => read(root, file).text.includes("sql("));
	const program = join(root, "test/support/print-statements.ts");
	const paths = files.map((file) => join(root, file));
	const output = execFileSync(process.execPath, ["--no-warnings", program, ...paths], {
		encoding: "utf8",
		maxBuffer: 2 ** 24,
	});
	return JSON.parse(output) as Pick<Statement, "name" | "text">[];
}
