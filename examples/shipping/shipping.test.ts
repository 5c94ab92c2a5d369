import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { serviceNames } from "../../lib/settings/node.ts";
import { type Customer, makeAdmin, makeProduct, placeOrder } from "../../test/support/builders.ts";
import { services } from "../../test/support/databases.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import schema from "./shipping.service.ts";
import "../../services/shipping/shipping.contract.ts";

let shop: Shop;
let buyer: Customer;
beforeAll(async () => {
	shop = await startShop({
		services: serviceNames(services).filter((name) => name !== "shipping"),
		stubs: [schema],
	});
	buyer = await makeAdmin(shop);
});
afterAll(() => shop?.stop());

test("quotes carts by weight", async () => {
	const cart = { currency: "EUR", country: null, subtotal: 20, weight: 0 };
	const parcel = (price: number) => [{ code: "parcel", name: "Parcel", price }];
	expect(await shop.call("shipping.status")).toEqual({ enabled: true });
	expect(
		await shop.call("shipping.quote", {
			carts: [cart, { ...cart, weight: 1001 }, { ...cart, currency: "USD" }],
		}),
	).toEqual([parcel(3), parcel(4), []]);
});

test("charges orders for shipping, and schedules their shipments as before", async () => {
	const product = await makeProduct(shop, buyer, { price: 10, attributes: { weight: 400 } });
	const { status, body } = await placeOrder(shop, buyer, product);
	expect([status, body.status, body.shipping_amount, body.total_amount]).toEqual([
		201,
		"confirmed",
		3.5,
		13.5,
	]);
	expect(await shop.call("shipping.resolve", { order_ids: [body.id] })).toMatchObject([
		{ order_id: body.id, status: "scheduled" },
	]);
});
