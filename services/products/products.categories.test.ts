import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Database, Tx } from "../../lib/persistence/database.ts";
import { inventoryStub } from "../../test/support/gateway.ts";
import { callWhileLocked } from "../../test/support/lock-waits.ts";
import { repeatWithoutConnection } from "../../test/support/outages.ts";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
});
afterAll(() => shop?.stop());
beforeEach(async () => {
	// A change over the service, so that cached results are invalidated.
	await shop.databases.query("products", "delete from products where sku is distinct from 'KEPT'");
	await create("Kept");
	await shop.databases.query("products", "delete from products");
});

const create = (category: string, over: object = {}) =>
	shop.call("products.create", { name: category, price: 1, category, ...over }, asAdmin);
const createVariant = (id: string, over: object = {}) =>
	shop.call("products.createVariant", { id, options: { size: uuid() }, ...over }, asAdmin);
const rename = (from: string, to: string, over: object = {}) =>
	shop.call("products.renameCategory", { from, to, ...over }, asAdmin);
const categoriesIn = async (category: string) =>
	(await shop.call("products.list", { category })).rows.map((row) => row.category).sort();
type Node = { path: string; count: number; children: unknown[] };
/** The tree with the number of products of each category, in one line. */
const tree = async () => {
	const text = ({ path, count, children }: Node): string => {
		const inner = children.map((one) => text(one as Node)).join(", ");
		return `${path} ${count}${inner && ` (${inner})`}`;
	};
	return (await shop.call("products.categories")).map(text).join("; ");
};
const eventsOf = async (id: string) =>
	(
		await shop.databases.query(
			"products",
			"select data from outbox where subject = $1 and type = 'product.updated' order by xid, seq",
			[id],
		)
	).map(({ data }) => data.updated_fields);

test("a category includes its subcategories, but no category with the same beginning", async () => {
	for (const category of [
		"Kitchen",
		"Kitchen/Knives",
		"Kitchen/Knives/Chef",
		"Kitchenware",
		"Kitchen-2",
	])
		await create(category);
	expect(await categoriesIn("Kitchen")).toEqual([
		"Kitchen",
		"Kitchen/Knives",
		"Kitchen/Knives/Chef",
	]);
	expect(await categoriesIn(" KITCHEN / knives ")).toEqual([
		"Kitchen/Knives",
		"Kitchen/Knives/Chef",
	]);
	expect(await categoriesIn("Kitchenware")).toEqual(["Kitchenware"]);
	expect(await categoriesIn("Kitchen/Kniv")).toEqual([]);
	expect(
		await shop.call("products.list", { category: "kitchen", limit: 2, sort: "-name" }),
	).toMatchObject({
		total: 3,
		rows: [{ name: "Kitchen/Knives/Chef" }, { name: "Kitchen/Knives" }],
	});
	// A category becomes a branch when it gets its first subcategory.
	await create("Kitchenware/Bowls");
	expect(await categoriesIn("Kitchenware")).toEqual(["Kitchenware", "Kitchenware/Bowls"]);
});

test("the tree counts products with those of subcategories, without variants", async () => {
	await create("Kitchen/Knives/Chef");
	const parent = await create("Kitchen/Knives", { option_names: ["size"] });
	await createVariant(parent.id);
	await createVariant(parent.id, { category: "Elsewhere" });
	await create("kitchen/KNIVES/Bread");
	await create("Garden");
	expect(await tree()).toBe(
		"Garden 1; Kitchen 3 (Kitchen/Knives 3 (kitchen/KNIVES/Bread 1, Kitchen/Knives/Chef 1))",
	);
	await shop.call("products.remove", { id: parent.id }, asAdmin);
	await create("Garden/Pots");
	expect(await tree()).toMatch(/^Garden 2 \(Garden\/Pots 1\); kitchen 2 /);
});

test("renames a branch with its variants, and publishes one event per product", async () => {
	const [knife, other] = [await create("Kitchen/Knives/Chef"), await create("Kitchenware")];
	const parent = await create("KITCHEN", { option_names: ["size"] });
	const [variant, own, outside] = [
		await createVariant(parent.id),
		await createVariant(parent.id, { category: "Kitchen/Small" }),
		await createVariant(parent.id, { category: "Garden" }),
	];
	const ids = [knife.id, parent.id, variant.id, own.id, outside.id, other.id];
	const categories = async () =>
		(await shop.call("products.resolve", { ids })).map((row) => row!.category);
	await categories();
	expect(await rename("kitchen", "Home / Cooking")).toEqual({ changed: 4 });
	expect(await categories()).toEqual([
		"Home/Cooking/Knives/Chef",
		"Home/Cooking",
		"Home/Cooking",
		"Home/Cooking/Small",
		"Garden",
		"Kitchenware",
	]);
	expect(await shop.call("products.get", { id: parent.id })).toMatchObject({
		category: "Home/Cooking",
		variants: [{ category: "Home/Cooking" }, { category: "Home/Cooking/Small" }, {}],
	});
	expect(await tree()).toBe(
		"Home 2 (Home/Cooking 2 (Home/Cooking/Knives 1 (Home/Cooking/Knives/Chef 1))); Kitchenware 1",
	);
	expect(await Promise.all(ids.map(eventsOf))).toEqual([...Array(4).fill([["category"]]), [], []]);
	// The search finds the words of the new category.
	expect((await shop.call("products.list", { q: "cooking chef" })).rows).toHaveLength(1);
	expect(await rename("Kitchen", "Home/Cooking")).toEqual({ changed: 0 });
});

test("a category can move into itself, to its parent, or change its spelling", async () => {
	await create("A/B");
	expect(await rename("A", "A/X")).toEqual({ changed: 1 });
	expect(await categoriesIn("A")).toEqual(["A/X/B"]);
	const key = { meta: { user: admin, idempotency_key: uuid() } };
	for (let i = 0; i < 2; i++)
		expect(await shop.call("products.renameCategory", { from: "A/X", to: "A/X/Y" }, key)).toEqual({
			changed: 1,
		});
	expect(await categoriesIn("A")).toEqual(["A/X/Y/B"]);
	expect(await rename("A/X/Y", "A/X")).toEqual({ changed: 1 });
	expect(await rename("A/X", "A")).toEqual({ changed: 1 });
	expect(await rename("a/b", "A/b")).toEqual({ changed: 1 });
	expect(await rename("A/B", "A/b")).toEqual({ changed: 0 });
	expect(await categoriesIn("A")).toEqual(["A/b"]);
});

test("merges categories only on request", async () => {
	await create("Mugs");
	await create("Kitchen/Cups/Tea");
	const conflict = { type: "CATEGORY_EXISTS", code: 409 };
	await expect(rename("Mugs", "Kitchen")).rejects.toMatchObject(conflict);
	await expect(rename("Mugs", "kitchen/cups")).rejects.toMatchObject(conflict);
	expect(await tree()).toBe("Kitchen 1 (Kitchen/Cups 1 (Kitchen/Cups/Tea 1)); Mugs 1");
	expect(await rename("Mugs", "Kitchen/Cups", { merge: true })).toEqual({ changed: 1 });
	expect(await tree()).toBe("Kitchen 2 (Kitchen/Cups 2 (Kitchen/Cups/Tea 1))");
});

test("rejects a rename to an invalid or too long category, and changes nothing", async () => {
	await create("A/B/C/D/E");
	await create(`F/${"x".repeat(80)}`);
	for (const [from, to] of [
		["A", ""],
		["A", "B//C"],
		["A/", "B"],
		["A", "1/2/3/4/5"],
		["F", "y".repeat(20)],
		["A", "x".repeat(101)],
	] as const)
		await expect(rename(from, to)).rejects.toMatchObject({ code: 422 });
	expect(await rename("F", "y".repeat(19))).toEqual({ changed: 1 });
	expect(await categoriesIn("A")).toEqual(["A/B/C/D/E"]);
	await expect(shop.call("products.renameCategory", { from: "A", to: "B" })).rejects.toMatchObject({
		code: 401,
	});
});

test("concurrent renames of one category change each product once", async () => {
	const products = await Promise.all(
		Array.from({ length: 20 }, () => repeatWithoutConnection(() => create("Start/Sub"))),
	);
	const outcomes = await Promise.all(
		[1, 2, 3, 4].map((n) => repeatWithoutConnection(() => rename("Start", `End ${n}`))),
	);
	expect(outcomes.map(({ changed }) => changed).sort()).toEqual([0, 0, 0, 20]);
	expect(await Promise.all(products.map(({ id }) => eventsOf(id)))).toEqual(
		Array(20).fill([["category"]]),
	);
});

test("a rename leaves products that are moved or removed while it waits for them", async () => {
	const [moved, removed, other] = [
		await create("Kitchen"),
		await create("Kitchen/Knives"),
		await create("Kitchen/Cups"),
	];
	const { db } = shop.broker.getLocalService("products") as unknown as { db: Database };
	const lock = async (tx: Tx) => {
		await tx.query("update products set category = 'Garden' where id = $1", [moved.id]);
		await tx.query("update products set deleted_at = now() where id = $1", [removed.id]);
	};
	const result = await callWhileLocked(db, lock, () => rename("Kitchen", "Cuisine"));
	expect(result).toEqual({ changed: 1 });
	expect(await shop.call("products.get", { id: moved.id })).toMatchObject({ category: "Garden" });
	expect(await categoriesIn("Cuisine")).toEqual(["Cuisine/Cups"]);
	expect(await Promise.all([moved, removed, other].map(({ id }) => eventsOf(id)))).toEqual([
		[],
		[],
		[["category"]],
	]);
});

test("no reader finds a cached product in its old category after a rename of many", async () => {
	await shop.databases.query(
		"products",
		`insert into products (id, name, price, currency, category)
		select gen_random_uuid(), 'Screw', 1, 'EUR', 'Many/' || n % 7 from generate_series(1, 6000) n`,
	);
	const rows = await shop.databases.query<{ id: string }>("products", "select id from products");
	const ids = rows.map(({ id }) => id).slice(0, 5500);
	await shop.call("products.resolve", { ids });
	const reading = [shop.call("products.resolve", { ids }), shop.call("products.categories")];
	expect(await rename("many", "Few")).toEqual({ changed: 6000 });
	await Promise.all(reading);
	const found = await shop.call("products.resolve", { ids });
	expect(found.filter((row) => !row!.category.startsWith("Few/"))).toEqual([]);
	expect(await tree()).toMatch(/^Few 6000 /);
});
