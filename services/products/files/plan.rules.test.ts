import { expect, test } from "@jest/globals";
import { planRows } from "./plan.rules.ts";
import { emptyProduct, type StoredProduct } from "./product.rules.ts";
import type { FileRow } from "./row.rules.ts";

const idOf = (sku: string) => `id of ${sku}`;
const stored = (sku: string, fields: Partial<StoredProduct> = {}): StoredProduct => ({
	...emptyProduct(sku, idOf),
	name: `Name of ${sku}`,
	price: 5,
	category: "Kitchen",
	...fields,
});
const parent = stored("P", { option_names: ["size"], variant_count: 1, description: "text" });
const child = stored("V", {
	name: parent.name,
	description: "own",
	parent_id: parent.id,
	options: { size: "M" },
	own_fields: ["description"],
});
let next = 1;
const row = (sku: string, fields: Partial<FileRow> = {}): FileRow => ({
	row: next++,
	sku,
	...fields,
});
const full = { name: "A", price: 1, category: "C" };
const messages = (rows: FileRow[], known: StoredProduct[] = []) =>
	planRows(rows, known, idOf).errors.map(({ key, field, message }) => [key, field, message]);

test("creates a product with the defaults of missing fields", () => {
	const { creates, updates, unchanged, errors } = planRows(
		[row("A", { ...full, category: " C / D ", stock: 3 })],
		[],
		idOf,
	);
	expect([updates, unchanged, errors]).toEqual([[], 0, []]);
	expect(creates).toEqual([
		expect.objectContaining({
			...{ id: "id of A", sku: "A", name: "A", price: 1, category: "C/D", currency: "EUR" },
			...{ description: null, attributes: {}, images: [], option_names: null, stock: 3 },
		}),
	]);
});

test("requires name, price and category of a new product, and not of an existing one", () => {
	expect(messages([row("A", { price: 1, category: "C" })])).toEqual([
		["A", "name", "The 'name' field is required"],
	]);
	expect(messages([row("A", { ...full, price: null })])[0]![1]).toBe("price");
	expect(planRows([row("A")], [stored("A")], idOf)).toMatchObject({ unchanged: 1, errors: [] });
	expect(messages([row("A", { name: null })], [stored("A")])).toEqual([
		["A", "name", "The 'name' field is required"],
	]);
});

test("updates only what differs, and names the changed fields", () => {
	const before = stored("A", { description: "old", attributes: { color: "red", size: 1 } });
	const { updates } = planRows(
		[
			row("A", {
				name: before.name,
				price: 6,
				description: null,
				attributes: { size: 1, color: "red" },
			}),
		],
		[before],
		idOf,
	);
	expect(updates).toEqual([
		{
			before,
			after: { ...before, price: 6, description: null },
			updated_fields: ["description", "price"],
		},
	]);
});

test("keeps attributes and texts of images in CSV, and replaces them in NDJSON", () => {
	const before = stored("A", {
		attributes: { color: "red", size: "M" },
		images: [{ url: "/a", alt: "text" }],
	});
	const fields = { attributes: { color: "blue" }, images: [{ url: "/a", alt: "" }] };
	const csv = planRows([row("A", { ...fields, attributeColumns: ["color"] })], [before], idOf);
	expect(csv.updates[0]!.after).toMatchObject({
		attributes: { color: "blue", size: "M" },
		images: before.images,
	});
	const ndjson = planRows([row("A", fields)], [before], idOf);
	expect(ndjson.updates[0]!.after).toMatchObject(fields);
	const blank = { attributes: null, images: null, attributeColumns: ["color"] };
	expect(planRows([row("A", blank)], [before], idOf).updates[0]!.after).toMatchObject({
		attributes: { size: "M" },
		images: [],
	});
});

test("creates variants of a parent in the same batch, which inherit blank fields", () => {
	const { creates, errors } = planRows(
		[
			row("P", { ...full, description: "text" }),
			row("V", { parent_sku: "P", options: { size: "M", color: "red" }, price: 9, name: null }),
			row("W", { parent_sku: "P", options: { size: "L", color: "red" }, name: null }),
			row("P", { ...full, name: "B" }),
		],
		[],
		idOf,
	);
	expect(errors).toEqual([]);
	expect(
		creates.map(({ sku, parent_id, name, description, price, own_fields }) => [
			...[sku, parent_id, name, description, price, own_fields],
		]),
	).toEqual([
		["P", null, "B", "text", 1, []],
		["V", "id of P", "B", "text", 9, ["price", "currency"]],
		["W", "id of P", "B", "text", 1, []],
	]);
	expect(creates[0]!.option_names).toEqual(["size", "color"]);
});

test("the first variant of an existing product defines its option names", () => {
	const { creates, updates } = planRows(
		[row("V", { parent_sku: "A", options: { size: "M" } })],
		[stored("A")],
		idOf,
	);
	expect(creates).toHaveLength(1);
	expect(updates).toMatchObject([{ updated_fields: ["option_names"] }]);
});

test("a blank cell of a variant removes its own value, unless that is empty as well", () => {
	const { updates } = planRows(
		[row("V", { description: null, attributeColumns: [] })],
		[parent, child],
		idOf,
	);
	expect(updates).toMatchObject([
		{ after: { description: "text", own_fields: [] }, updated_fields: ["description"] },
	]);
	const silent = { ...child, description: null };
	expect(planRows([row("V", { description: null })], [parent, silent], idOf).unchanged).toBe(1);
	expect(planRows([row("V")], [parent, child], idOf).unchanged).toBe(1);
	const ndjson = planRows([row("V", { description: null })], [parent, child], idOf);
	expect(ndjson.updates).toMatchObject([
		{ after: { description: null, own_fields: ["description"] } },
	]);
});

test("a variant is unchanged when its parent changes in the same batch", () => {
	const { updates, unchanged } = planRows(
		[row("P", { description: "new" }), row("V", { parent_sku: "P", options: { size: "M" } })],
		[parent, child],
		idOf,
	);
	expect([updates.map(({ after }) => after.sku), unchanged]).toEqual([["P"], 1]);
});

test.each([
	["a parent that is missing", row("X", { parent_sku: "M" }), "parent_sku", /must come before/],
	["a variant as parent", row("X", { parent_sku: "V" }), "parent_sku", /cannot have variants/],
	["other options", row("X", { parent_sku: "P", options: { color: "red" } }), "options", /size/],
	["no options", row("X", { parent_sku: "P" }), "options", /needs a value/],
	["options without a parent", row("X", { ...full, options: { a: "b" } }), "options", /parent_sku/],
	["another parent", row("V", { parent_sku: "S" }), "parent_sku", /belongs to P/],
	["a parent of a stand-alone product", row("S", { parent_sku: "P" }), "parent_sku", /no variant/],
	["other option names", row("P", { option_names: ["color"] }), "option_names", /cannot change/],
	["repeated option names", row("S", { option_names: ["a", "a"] }), "option_names", /differ/],
	["too many decimals", row("S", { price: 1.999 }), "price", /2 decimals/],
	["an unknown currency", row("S", { currency: "XXQ" }), "currency", /ISO 4217/],
	["a currency without a price", row("V", { currency: "USD" }), "price", /needs a price/],
	["an empty category part", row("S", { category: "a//b" }), "category", /empty part/],
])("reports %s and applies the other rows", (_, bad, field, message) => {
	const { errors, creates } = planRows([bad, row("A", full)], [parent, child, stored("S")], idOf);
	expect(errors).toEqual([
		{ row: bad.row, key: bad.sku, field, message: expect.stringMatching(message) },
	]);
	expect(creates.map(({ sku }) => sku)).toEqual(["A"]);
});

test("reports a variant above the limit", () => {
	const many = { ...parent, variant_count: 100 };
	expect(messages([row("X", { parent_sku: "P", options: { size: "L" } })], [many])).toEqual([
		["X", "parent_sku", "P has 100 variants, the maximum"],
	]);
});

test("identifies a product without an SKU by its ID", () => {
	const nameless = stored("A", { id: "the-id", sku: null });
	const plan = planRows([row("the-id", { price: 7 })], [nameless], idOf);
	expect(plan.updates).toMatchObject([{ after: { id: "the-id", sku: null, price: 7 } }]);
});
