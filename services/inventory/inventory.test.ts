import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import { inventoryOf } from "./test/stock.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["inventory"] });
});
afterAll(() => shop?.stop());

const { createProduct, reserve, release, stock } = inventoryOf(() => shop);
const done = { status: "done" };

const newOrder = (items: Record<string, number>, order_id: string = uuid()) => ({
	order_id,
	items: Object.entries(items).map(([product_id, quantity]) => ({ product_id, quantity })),
});
const eventsOf = (subject: string) =>
	shop.databases.query(
		"inventory",
		"select type, data from outbox where subject = $1 order by xid, seq",
		[subject],
	);

test("reserves all lines of a repeated order once and publishes one event", async () => {
	const [a, b] = [await createProduct(10), await createProduct(10)];
	const order = newOrder({ [a]: 2, [b]: 3 });
	expect(await reserve(order, order)).toEqual([done, done]);
	expect(await reserve(order)).toEqual([done]);
	expect(await stock(a)).toEqual({ product_id: a, on_hand: 10, reserved: 2, available: 8 });
	expect(await stock(b)).toMatchObject({ reserved: 3 });
	expect(await eventsOf(order.order_id)).toEqual([{ type: "inventory.reserved", data: order }]);
});

const outOfStock = (product_id: string, available: number) => ({
	status: "refused",
	code: "OUT_OF_STOCK",
	detail: product_id,
	data: { product_id, available },
});

test("sums the lines of a product within an order", async () => {
	const a = await createProduct(5);
	const line = { product_id: a, quantity: 3 };
	const twice = { order_id: uuid(), items: [line, line] };
	expect(await reserve(twice)).toEqual([outOfStock(a, 5)]);
	await shop.call("inventory.adjust", { product_id: a, delta: 1, reason: "Found one" }, asAdmin);
	expect(await reserve(twice)).toEqual([done]);
	expect(await stock(a)).toMatchObject({ reserved: 6, available: 0 });
});

test("an order that does not fit leaves the stock to later orders", async () => {
	const [a, b] = [await createProduct(3), await createProduct(1)];
	const [first, second, third, fourth] = [
		newOrder({ [a]: 2 }),
		newOrder({ [b]: 1, [a]: 2 }),
		newOrder({ [b]: 1 }),
		newOrder({ [a]: 1 }),
	];
	const shortage = outOfStock(a, 1);
	expect(await reserve(first, second, third, fourth)).toEqual([done, shortage, done, done]);
	expect(await stock(a)).toMatchObject({ reserved: 3 });
	expect(await stock(b)).toMatchObject({ reserved: 1 });
	expect(await eventsOf(second.order_id)).toEqual([]);
	await release(third, first);
	expect(await reserve(second)).toEqual([done]);
});

test("refuses an unknown product as out of stock without affecting other orders", async () => {
	const [a, unknown] = [await createProduct(1), uuid()];
	expect(await reserve(newOrder({ [unknown]: 1 }), newOrder({ [a]: 1 }))).toEqual([
		outOfStock(unknown, 0),
		done,
	]);
});

test("releases an order once and rejects a later reserve", async () => {
	const a = await createProduct(5);
	const [order, other] = [newOrder({ [a]: 2 }), newOrder({ [a]: 2 })];
	await reserve(order, other);
	expect(await release(order, order)).toEqual([done, done]);
	expect(await Promise.all([release(order), release(order), release(order)])).toEqual([
		[done],
		[done],
		[done],
	]);
	expect(await stock(a)).toMatchObject({ on_hand: 5, reserved: 2 });
	expect(await reserve(order)).toEqual([{ status: "refused", code: "RELEASED" }]);
	expect((await eventsOf(order.order_id)).map(({ type }) => type)).toEqual([
		"inventory.reserved",
		"inventory.released",
	]);
});

test("rejects a late reserve after a release left a tombstone, without events", async () => {
	const a = await createProduct(5);
	const order = newOrder({ [a]: 2 });
	expect(await release(order)).toEqual([done]);
	expect(await reserve(order, newOrder({ [a]: 5 }))).toEqual([
		{ status: "refused", code: "RELEASED" },
		done,
	]);
	expect(await eventsOf(order.order_id)).toEqual([]);
});

test("sets and adjusts stock with events, never below the reserved quantity", async () => {
	const a = await createProduct(5);
	await reserve(newOrder({ [a]: 4 }));
	expect(await shop.call("inventory.set", { product_id: a, on_hand: 8 }, asAdmin)).toMatchObject({
		on_hand: 8,
		reserved: 4,
		available: 4,
	});
	await expect(
		shop.call("inventory.set", { product_id: a, on_hand: 3 }, asAdmin),
	).rejects.toMatchObject({ type: "STOCK_TOO_LOW" });
	const adjust = (delta: number) =>
		shop.call("inventory.adjust", { product_id: a, delta, reason: "Broken" }, asAdmin);
	expect(await adjust(-4)).toMatchObject({ on_hand: 4, available: 0 });
	await expect(adjust(-1)).rejects.toMatchObject({ type: "STOCK_TOO_LOW", code: 409 });
	await expect(adjust(1_000_000_000)).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
	const log = await shop.databases.query(
		"inventory",
		"select delta, on_hand, reason from adjustments where product_id = $1 order by id",
		[a],
	);
	expect(log).toEqual([
		{ delta: 3, on_hand: 8, reason: "Set" },
		{ delta: -4, on_hand: 4, reason: "Broken" },
	]);
	const adjusted = (await eventsOf(a)).filter(({ type }) => type === "inventory.adjusted");
	expect(adjusted.map(({ data }) => data)).toEqual(
		log.map((entry) => ({ product_id: a, ...entry })),
	);
});

test("rejects reads and changes of an unknown product and opens its record once", async () => {
	const product_id = uuid();
	const unknown = { type: "STOCK_NOT_FOUND", code: 404 };
	await expect(stock(product_id)).rejects.toMatchObject(unknown);
	await expect(
		shop.call("inventory.set", { product_id, on_hand: 3 }, asAdmin),
	).rejects.toMatchObject(unknown);
	await expect(
		shop.call("inventory.adjust", { product_id, delta: 3, reason: "Found" }, asAdmin),
	).rejects.toMatchObject(unknown);
	await shop.call("inventory.open", { product_id, on_hand: 7 });
	expect(await shop.call("inventory.open", { product_id, on_hand: 9 })).toMatchObject({
		on_hand: 7,
		reserved: 0,
	});
});

test("only an admin can change stock", async () => {
	const a = await createProduct(5);
	await expect(shop.call("inventory.set", { product_id: a, on_hand: 1 })).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});
	const asUser = { meta: { user: { ...admin, role: "user" } } };
	await expect(
		shop.call("inventory.adjust", { product_id: a, delta: 1, reason: "order" }, asUser),
	).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	expect(await stock(a)).toMatchObject({ on_hand: 5 });
});

test("lists the stock of several products in the order of their IDs", async () => {
	const [a, b] = [await createProduct(3), await createProduct(5)];
	await reserve(newOrder({ [a]: 2 }));
	const list = (product_ids: string) => shop.call("inventory.list", { product_ids }, asAdmin);
	expect(await list([b.toUpperCase(), uuid(), a, b].join())).toEqual([
		{ product_id: b, on_hand: 5, reserved: 0, available: 5 },
		{ product_id: a, on_hand: 3, reserved: 2, available: 1 },
	]);
	expect(await list(Array.from({ length: 100 }, () => a).join())).toHaveLength(1);
	for (const malformed of ["", a.slice(1), `${a},`, `${a} ,${b}`, `${a}${b}`])
		await expect(list(malformed)).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
	await expect(list(Array.from({ length: 101 }, () => a).join())).rejects.toMatchObject({
		type: "VALIDATION_ERROR",
	});
});
