import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./inventory.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["inventory"] });
});
afterAll(() => shop?.stop());

const asAdmin = { meta: { user: admin } };
const done = { status: "done" };

/** A new product with this much on hand. */
async function product(on_hand: number): Promise<string> {
	const product_id = uuid();
	await shop.call("inventory.open", { product_id, on_hand });
	return product_id;
}
const order = (items: Record<string, number>, order_id: string = uuid()) => ({
	order_id,
	items: Object.entries(items).map(([product_id, quantity]) => ({ product_id, quantity })),
});
type Order = ReturnType<typeof order>;
const reserve = (...orders: Order[]) => shop.call("inventory.reserve", { orders });
const release = (...orders: Order[]) =>
	shop.call("inventory.release", { orders: orders.map(({ order_id }) => ({ order_id })) });
const stock = (product_id: string) => shop.call("inventory.get", { product_id });
const facts = (subject: string) =>
	shop.databases.query(
		"inventory",
		"select type, data from outbox where subject = $1 order by xid, seq",
		[subject],
	);

test("an order holds all its lines once, however often it is asked for, and says so once", async () => {
	const [a, b] = [await product(10), await product(10)];
	const mine = order({ [a]: 2, [b]: 3 });
	expect(await reserve(mine, mine)).toEqual([done, done]);
	expect(await reserve(mine)).toEqual([done]);
	expect(await stock(a)).toEqual({ product_id: a, on_hand: 10, reserved: 2, available: 8 });
	expect(await stock(b)).toMatchObject({ reserved: 3 });
	expect(await facts(mine.order_id)).toEqual([{ type: "inventory.reserved", data: mine }]);
});

const outOfStock = (product_id: string, available: number) => ({
	status: "refused",
	code: "OUT_OF_STOCK",
	detail: product_id,
	data: { product_id, available },
});

test("the same product twice within an order is added up", async () => {
	const a = await product(5);
	const line = { product_id: a, quantity: 3 };
	const twice = { order_id: uuid(), items: [line, line] };
	expect(await reserve(twice)).toEqual([outOfStock(a, 5)]);
	await shop.call("inventory.adjust", { product_id: a, delta: 1, reason: "found one" }, asAdmin);
	expect(await reserve(twice)).toEqual([done]);
	expect(await stock(a)).toMatchObject({ reserved: 6, available: 0 });
});

test("an order that is short of one product holds nothing, leaves no tombstone, and its neighbours are served first come, first served", async () => {
	const [a, b] = [await product(3), await product(1)];
	const [first, second, third, fourth] = [
		order({ [a]: 2 }),
		order({ [b]: 1, [a]: 2 }),
		order({ [b]: 1 }),
		order({ [a]: 1 }),
	];
	const short = outOfStock(a, 1);
	expect(await reserve(first, second, third, fourth)).toEqual([done, short, done, done]);
	expect(await stock(a)).toMatchObject({ reserved: 3 });
	expect(await stock(b)).toMatchObject({ reserved: 1 });
	expect(await facts(second.order_id)).toEqual([]);
	await release(third, first);
	expect(await reserve(second)).toEqual([done]);
});

test("an unknown product is out of stock and holds back nobody", async () => {
	const [a, unknown] = [await product(1), uuid()];
	expect(await reserve(order({ [unknown]: 1 }), order({ [a]: 1 }))).toEqual([
		outOfStock(unknown, 0),
		done,
	]);
});

test("what an order held is given back once, and the order is not reserved again", async () => {
	const a = await product(5);
	const [mine, other] = [order({ [a]: 2 }), order({ [a]: 2 })];
	await reserve(mine, other);
	expect(await release(mine, mine)).toEqual([done, done]);
	expect(await Promise.all([release(mine), release(mine), release(mine)])).toEqual([
		[done],
		[done],
		[done],
	]);
	expect(await stock(a)).toMatchObject({ on_hand: 5, reserved: 2 });
	expect(await reserve(mine)).toEqual([{ status: "refused", code: "RELEASED" }]);
	expect((await facts(mine.order_id)).map(({ type }) => type)).toEqual([
		"inventory.reserved",
		"inventory.released",
	]);
});

test("an undo that comes before its do leaves a tombstone, tells nobody, and the late do is refused", async () => {
	const a = await product(5);
	const mine = order({ [a]: 2 });
	expect(await release(mine)).toEqual([done]);
	expect(await reserve(mine, order({ [a]: 5 }))).toEqual([
		{ status: "refused", code: "RELEASED" },
		done,
	]);
	expect(await facts(mine.order_id)).toEqual([]);
});

test("on hand is set and adjusted, with a log and an event, but never below what is reserved", async () => {
	const a = await product(5);
	await reserve(order({ [a]: 4 }));
	expect(await shop.call("inventory.set", { product_id: a, on_hand: 8 }, asAdmin)).toMatchObject({
		on_hand: 8,
		reserved: 4,
		available: 4,
	});
	await expect(
		shop.call("inventory.set", { product_id: a, on_hand: 3 }, asAdmin),
	).rejects.toMatchObject({ type: "STOCK_TOO_LOW" });
	const adjust = (delta: number) =>
		shop.call("inventory.adjust", { product_id: a, delta, reason: "broken" }, asAdmin);
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
		{ delta: -4, on_hand: 4, reason: "broken" },
	]);
	expect((await facts(a)).map(({ data }) => data)).toEqual(
		log.map((entry) => ({ product_id: a, ...entry })),
	);
});

test("the books of an unknown product can be neither read nor changed, and are opened once", async () => {
	const product_id = uuid();
	const unknown = { type: "STOCK_NOT_FOUND", code: 404 };
	await expect(stock(product_id)).rejects.toMatchObject(unknown);
	await expect(
		shop.call("inventory.set", { product_id, on_hand: 3 }, asAdmin),
	).rejects.toMatchObject(unknown);
	await expect(
		shop.call("inventory.adjust", { product_id, delta: 3, reason: "found" }, asAdmin),
	).rejects.toMatchObject(unknown);
	await shop.call("inventory.open", { product_id, on_hand: 7 });
	expect(await shop.call("inventory.open", { product_id, on_hand: 9 })).toMatchObject({
		on_hand: 7,
		reserved: 0,
	});
});

test("only an admin changes stock", async () => {
	const a = await product(5);
	await expect(shop.call("inventory.set", { product_id: a, on_hand: 1 })).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});
	const asUser = { meta: { user: { ...admin, role: "user" } } };
	await expect(
		shop.call("inventory.adjust", { product_id: a, delta: 1, reason: "mine" }, asUser),
	).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	expect(await stock(a)).toMatchObject({ on_hand: 5 });
});
