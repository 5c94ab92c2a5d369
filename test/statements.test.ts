import { expect, jest, test } from "@jest/globals";
import { type Node, parse, type SelectStmt } from "libpg-query";
import * as database from "../lib/persistence/database.ts";
import { root } from "./support/databases.ts";
import { filesIn, read } from "./support/imports.ts";

const found: database.Statement[] = [];
jest.unstable_mockModule("../lib/persistence/database.ts", () => ({
	...database,
	sql(name: string, text: string) {
		const statement = database.sql(name, text);
		found.push(statement);
		return statement;
	},
}));

/** The columns that a statement answers with. */
function answers(node: Node): Node[] {
	if ("SelectStmt" in node) return selected(node.SelectStmt);
	for (const kind of ["InsertStmt", "UpdateStmt", "DeleteStmt"] as const)
		if (kind in node)
			return (
				(node as Record<string, { returningClause?: { exprs?: Node[] } }>)[kind]!.returningClause
					?.exprs ?? []
			);
	throw new Error(`a ${Object.keys(node)[0]} is prepared`);
}
const selected = ({ targetList = [], larg, rarg }: SelectStmt): Node[] => [
	...targetList,
	...(larg ? selected(larg) : []),
	...(rarg ? selected(rarg) : []),
];
const isStar = (column: Node): boolean => JSON.stringify(column).includes('"A_Star"');

test("a prepared statement names the columns that it answers with, so that one more column does not break it", async () => {
	const files = filesIn(root, "lib", "mixins", "services").filter(
		(file) => /\.ts$/.test(file) && !/\.test\.ts$|\/test\//.test(file),
	);
	for (const file of files) if (read(root, file).text.includes("sql(")) await import(`../${file}`);
	expect(found.length).toBeGreaterThan(50);
	const starred = await Promise.all(
		found.map(async ({ name, text }) => {
			const { stmts = [] } = await parse(text);
			return stmts.flatMap(({ stmt }) => answers(stmt!)).some(isStar) ? [`${name}: ${text}`] : [];
		}),
	);
	expect(starred.flat()).toEqual([]);
	await expect(
		parse("select * from a union select b from c").then(({ stmts }) =>
			answers(stmts![0]!.stmt!).filter(isStar),
		),
	).resolves.toHaveLength(1);
	await expect(
		parse("update a set b = 1 returning a.*").then(({ stmts }) =>
			answers(stmts![0]!.stmt!).filter(isStar),
		),
	).resolves.toHaveLength(1);
});
