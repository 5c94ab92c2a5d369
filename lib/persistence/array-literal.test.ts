import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { arrayLiteral } from "./array-literal.ts";
import { Database, databaseUrl, sql } from "./database.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	db = new Database({ url: databaseUrl(databases.pattern, "shipping"), poolSize: 1 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});
/** Postgres stores neither U+0000 nor unpaired surrogates. */
const storable = (text: string) => text.replaceAll("\0", "").toWellFormed();
const read = async (type: string, values: readonly unknown[]) =>
	(
		await db.query<{ found: unknown[] }>(`select $1::${type}[] as found`, [arrayLiteral(values)])
	)[0]!.found;

test("any text is read back unchanged", async () => {
	const word = fc.string({ unit: "binary" }).map(storable);
	const awkward = fc.constantFrom(
		"",
		"null",
		"NULL",
		"a b",
		"{}",
		",",
		'"',
		"\\",
		'\\"',
		" ",
		"\n",
		"'",
		"é",
		"☃",
	);
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.oneof(word, awkward, fc.constant(null)), { maxLength: 20 }),
			async (words) => {
				expect(await read("text", words)).toEqual(words);
			},
		),
		{ numRuns: 200 },
	);
});

test("numbers, booleans, JSON and missing values are read back unchanged", async () => {
	expect(await read("float8", [1, -2.5, 1e-7, 1e21, undefined])).toEqual([
		1,
		-2.5,
		1e-7,
		1e21,
		null,
	]);
	expect(await read("bool", [true, false, null])).toEqual([true, false, null]);
	const json = [{ a: 'x"\\\n', b: [1, null] }, "null"];
	expect(
		await read(
			"json",
			json.map((value) => JSON.stringify(value)),
		),
	).toEqual(json);
});

test("a list of JSON texts is read back unchanged", async () => {
	const statement = sql("json_list", "select $1::json[] as found, $2::json[] as other");
	const text = fc.oneof(fc.json(), fc.string({ unit: "binary" }).map(storable), fc.constant(null));
	const lists = fc.array(text, { maxLength: 5 });
	await fc.assert(
		fc.asyncProperty(lists, lists, async (found, other) => {
			const values = [found, other].map((list) =>
				list.map((one) => (one === null ? null : JSON.stringify(one))),
			);
			expect(await db.query(statement, values)).toEqual([{ found, other }]);
		}),
		{ numRuns: 200 },
	);
});

test("arrays of other types are left to the driver", async () => {
	expect(arrayLiteral([["nested"]])).toBeUndefined();
	expect(arrayLiteral([{}])).toBeUndefined();
	const rows = await db.query<{ found: unknown }>("select $1::int[] as found", [[[1], [2]]]);
	expect(rows).toEqual([{ found: [[1], [2]] }]);
});
