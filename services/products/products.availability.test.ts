import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Call, ServiceThis } from "../../lib/contracts/contract.ts";
import { eventually } from "../../test/support/eventually.ts";
import { asAdmin, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { inventory } from "../inventory/inventory.contract.ts";
import { pollAvailability } from "./products.availability.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "inventory"] });
});
afterAll(() => shop?.stop());

const create = (over: object = {}) =>
	shop.call(
		"products.create",
		{ name: "Thing", price: 1, category: "Things", stock: 2, ...over },
		asAdmin,
	);
const setStock = (product_id: string, on_hand: number) =>
	shop.call("inventory.set", { product_id, on_hand }, asAdmin);
/** Whether the product is in the list of available products, and of those that are not. */
const isListed = (id: string, in_stock: boolean, category: string) =>
	shop
		.call("products.list", { in_stock, category })
		.then(({ rows }) => rows.some((row) => row.id === id));
const expectStock = (id: string, category: string, inStock: boolean) =>
	eventually(async () => {
		expect(await isListed(id, true, category)).toBe(inStock);
		expect(await isListed(id, false, category)).toBe(!inStock);
	});

test("a new product is available if it has stock", async () => {
	const category = `New ${uuid()}`;
	const [some, none] = [await create({ category }), await create({ category, stock: 0 })];
	expect((await shop.call("products.list", { category })).total).toBe(2);
	expect(await isListed(some.id, true, category)).toBe(true);
	expect(await isListed(none.id, true, category)).toBe(false);
	expect(await isListed(none.id, false, category)).toBe(true);
	expect((await shop.call("products.facets", { category, in_stock: true })).total).toBe(1);
});

test("lists follow reservations, releases and adjustments", async () => {
	const category = `Sold ${uuid()}`;
	const { id } = await create({ category });
	const order_id = uuid();
	const items = (quantity: number) => [{ product_id: id, quantity }];
	await shop.call("inventory.reserve", { orders: [{ order_id: uuid(), items: items(1) }] });
	await shop.call("inventory.reserve", { orders: [{ order_id, items: items(1) }] });
	await expectStock(id, category, false);
	await shop.call("inventory.release", { orders: [{ order_id }] });
	await expectStock(id, category, true);
	await setStock(id, 1);
	await expectStock(id, category, false);
	await setStock(id, 9);
	await expectStock(id, category, true);
	const events = await shop.databases.query(
		"inventory",
		"select data from outbox where subject = $1 " +
			"and type = 'inventory.availability_changed' order by xid, seq",
		[id],
	);
	expect(events.map(({ data }) => data.is_available)).toEqual([false, true, false, true]);
});

test("a parent is available while one of its variants is", async () => {
	const category = `Family ${uuid()}`;
	const { id } = await create({ category, stock: 0, option_names: ["size"] });
	const variant = (size: string, stock: number) =>
		shop.call("products.createVariant", { id, options: { size }, stock }, asAdmin);
	const empty = await variant("S", 0);
	expect(await isListed(id, true, category)).toBe(false);
	const medium = await variant("M", 3);
	expect(await isListed(id, true, category)).toBe(true);
	await setStock(medium.id, 0);
	await expectStock(id, category, false);
	await setStock(empty.id, 1);
	await expectStock(id, category, true);
	await shop.call("products.remove", { id: empty.id }, asAdmin);
	expect(await isListed(id, true, category)).toBe(false);
});

test("a product whose last variant is removed has its own availability again", async () => {
	const category = `Childless ${uuid()}`;
	const { id } = await create({ category, stock: 0, option_names: ["size"] });
	const [small, medium] = await Promise.all(
		["S", "M"].map((size) =>
			shop.call("products.createVariant", { id, options: { size }, stock: 3 }, asAdmin),
		),
	);
	await shop.call("products.remove", { id: small!.id }, asAdmin);
	expect(await isListed(id, true, category)).toBe(true);
	await shop.call("products.remove", { id: medium!.id }, asAdmin);
	expect(await isListed(id, true, category)).toBe(false);
	// The stock of a removed variant changes when its orders are released.
	await setStock(id, 1);
	await expectStock(id, category, true);
	await setStock(medium!.id, 0);
	await eventually(async () => {
		const [row] = await shop.databases.query(
			"products",
			"select in_stock from products where id = $1",
			[medium!.id],
		);
		expect(row!.in_stock).toBe(false);
	});
	expect(await isListed(id, true, category)).toBe(true);
});

test("a start corrects the availability of older products and lost events", async () => {
	const category = `Old ${uuid()}`;
	const { id } = await create({ category });
	await shop.databases.query("products", "update products set in_stock = false where id = $1", [
		id,
	]);
	const errors: unknown[] = [];
	const service = shop.broker.getLocalService("products") as never;
	const poller = pollAvailability(service, shop.call, (error) => void errors.push(error));
	await expectStock(id, category, true);
	await poller.stop();
	expect(errors).toEqual([]);
});

test("a comparison keeps an event that is newer than its page of stock records", async () => {
	const category = `Released ${uuid()}`;
	const { id } = await create({ category });
	const service = shop.broker.getLocalService("products") as never;
	let pages = 0;
	const beforeRelease = (async (action: never, params: never) => {
		if (action !== "inventory.auditStock") return shop.call(action, params);
		pages++;
		return [{ product_id: id, on_hand: 2, reserved: 2, held: 2 }];
	}) as unknown as Call;
	const errors: unknown[] = [];
	const poller = pollAvailability(service, beforeRelease, (error) => void errors.push(error));
	await eventually(() => expect(pages).toBe(1));
	await poller.stop();
	expect(await isListed(id, true, category)).toBe(true);
	expect(errors).toEqual([]);
});

test("the first comparison waits for an inventory that starts after products", async () => {
	const warnings: string[] = [];
	let comparisons = 0;
	const late = stub(
		inventory,
		{
			async auditStock() {
				comparisons++;
				return [];
			},
		},
		{
			async started(this: ServiceThis) {
				await this.broker.waitForServices("products", 0, 10);
			},
		},
	);
	const other = await startShop({
		services: ["products"],
		stubs: [late],
		env: { LOGLEVEL: "warn" },
		onLog: (line) => void warnings.push(line),
	});
	try {
		await eventually(() => expect(comparisons).toBe(1));
		expect(warnings).toEqual([]);
	} finally {
		await other.stop();
	}
});

test("rejects a filter that is no boolean", async () => {
	await expect(shop.call("products.list", { in_stock: "maybe" } as never)).rejects.toMatchObject({
		code: 422,
	});
});
