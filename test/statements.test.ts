import { expect, test } from "@jest/globals";
import { type Node, parse, type SelectStmt } from "libpg-query";
import { root } from "./support/databases.ts";
import { preparedStatements } from "./support/prepared-statements.ts";

/** Columns that a statement returns. */
function returnedColumns(node: Node): Node[] {
	if ("SelectStmt" in node) return selectedColumns(node.SelectStmt);
	for (const kind of ["InsertStmt", "UpdateStmt", "DeleteStmt"] as const)
		if (kind in node)
			return (
				(node as Record<string, { returningClause?: { exprs?: Node[] } }>)[kind]!.returningClause
					?.exprs ?? []
			);
	throw new Error(`unexpected prepared statement: ${Object.keys(node)[0]}`);
}
const selectedColumns = ({ targetList = [], larg, rarg }: SelectStmt): Node[] => [
	...targetList,
	...(larg ? selectedColumns(larg) : []),
	...(rarg ? selectedColumns(rarg) : []),
];
const isStar = (column: Node): boolean => JSON.stringify(column).includes('"A_Star"');

async function countStars(text: string): Promise<number> {
	const { stmts = [] } = await parse(text);
	return stmts.flatMap(({ stmt }) => returnedColumns(stmt!)).filter(isStar).length;
}

// A prepared statement with a star fails after a migration that adds a column.
test("prepared statements name the columns that they return", async () => {
	const statements = preparedStatements(root, "lib", "mixins", "services");
	expect(statements.length).toBeGreaterThan(50);
	const violations = await Promise.all(
		statements.map(async ({ name, text }) =>
			(await countStars(text)) > 0 ? [`${name}: ${text}`] : [],
		),
	);
	expect(violations.flat()).toEqual([]);
});

test.each(["select * from a union select b from c", "update a set b = 1 returning a.*"])(
	"a star is detected in: %s",
	async (text) => {
		expect(await countStars(text)).toBe(1);
	},
);
