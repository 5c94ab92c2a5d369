import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { SeedHistory } from "../tools/bench/seed-history.ts";
import { insertSeedHistory } from "../tools/bench/shop-seed-history.ts";
import { type Databases, domains, makeDatabases, root } from "./support/databases.ts";
import { preparedStatements } from "./support/prepared-statements.ts";

/*
 * A row has some statuses for a short time only. No statistics describe them: Postgres expects no
 * such row, so reading all entries of an index of these rows looks free, although it contains every
 * row with the status and dead entries of all recent ones. A statement that takes IDs must not do
 * that; with `is not distinct from` instead of `=` it compares without an index.
 */

/** Columns of predicates that do not change in the normal course of events. */
const PERMANENT = /^(deleted_at|parent_id|user_id|email|code|subject|is_default_\w+)$/;
/** So many that Postgres does not read a whole table or index. */
const ROWS = { products: 500, users: 200, orders: 3000, carts: 3000 };

let databases: Databases;
beforeAll(async () => {
	databases = await makeDatabases(domains);
	const server = {
		query: (service: string, text: string, values?: unknown[]) =>
			databases.query(service, text, values),
	} as Parameters<typeof insertSeedHistory>[1][number]["server"];
	await insertSeedHistory(
		new SeedHistory(ROWS, Date.now()),
		domains.map((service) => ({ service, database: service, server })),
	);
});
afterAll(() => databases?.drop());

interface Plan {
	readonly "Node Type": string;
	readonly "Relation Name"?: string;
	readonly "Index Name"?: string;
	readonly "Index Cond"?: string;
	readonly Filter?: string;
	readonly Plans?: readonly Plan[];
}
/** Plan of a statement for any values of its parameters, as in the sessions of the services. */
async function planOf(service: string, text: string): Promise<Plan> {
	const rows = await databases.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(
		service,
		`explain (generic_plan, format json) ${text}`,
	);
	return rows[0]!["QUERY PLAN"][0].Plan;
}
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
/** Indexes of rows with a short-lived status, and the index of the status of orders. */
async function shortLivedIndexes(service: string): Promise<Set<string>> {
	const rows = await databases.query<{ indexname: string; indexdef: string }>(
		service,
		"select indexname, indexdef from pg_indexes where schemaname = 'public'",
	);
	const columns = (text = "") => text.match(/\b(?!IS\b|NOT\b|NULL\b|AND\b|OR\b)[a-z_]+\b(?!')/gi);
	const found = rows.filter(({ indexdef }) =>
		columns(indexdef.split(" WHERE ")[1]?.replace(/'[^']*'(::\w+)?|::\w+/g, ""))?.some(
			(column) => !PERMANENT.test(column),
		),
	);
	return new Set([...found.map(({ indexname }) => indexname), "orders_status"]);
}
/** Whether a node reads all entries of an index, or all of a constant. */
const readsAll = ({ "Index Cond": condition = "" }: Plan): boolean =>
	!/\$\d|\w+\.\w+|InitPlan/.test(condition);
const takesIds = (text: string): boolean => /\$\d::uuid|\bid = (any|\$)|_id = (any|\$)/.test(text);
/** A poller reads all rows that are due; it is given the IDs of rows to skip. */
const isPoller = (text: string): boolean => text.includes("for update skip locked");

test.each(domains)("%s: statements that take IDs find their rows by ID", async (service) => {
	const indexes = await shortLivedIndexes(service);
	const found: string[] = [];
	for (const { name, text } of preparedStatements(root, `services/${service}`)) {
		if (!takesIds(text) || isPoller(text)) continue;
		for (const node of nodesOf(await planOf(service, text)))
			if (indexes.has(node["Index Name"] ?? "") && readsAll(node))
				found.push(`${name}: ${node["Index Name"]} ${node["Index Cond"] ?? ""}`);
	}
	expect(found).toEqual([]);
});

test("events of the inventory find their products and parents by ID", async () => {
	const statements = preparedStatements(root, "services/products");
	const { text } = statements.find(({ name }) => name === "lock_availability")!;
	const nodes = nodesOf(await planOf("products", text));
	expect(nodes.filter((node) => node["Node Type"] === "Seq Scan")).toEqual([]);
});

test("indexes of rows with a short-lived status are detected", async () => {
	const found = await Promise.all(domains.map(shortLivedIndexes));
	expect([...new Set(found.flatMap((names) => [...names]))]).toEqual(
		expect.arrayContaining(["orders_running", "orders_status", "carts_due", "messages_due"]),
	);
	expect(found.flatMap((names) => [...names])).not.toContain("products_name");
});
