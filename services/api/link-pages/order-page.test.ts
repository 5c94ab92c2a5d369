import { expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { contract, throwError } from "../../../lib/contracts/contract.ts";
import { defineService } from "../../../lib/service/define-service.ts";
import { stubbedServices } from "../../../test/support/gateway.ts";
import type { Shop } from "../../../test/support/shop.ts";
import { gateways } from "../test/gateways.ts";

const id = uuid();
const token = "aB3_-9".repeat(7);
const orders = contract({
	name: "orders",
	actions: {
		get: {
			rest: "GET /orders/:id",
			auth: "anyone",
			token: "Order-Token",
			params: { id: { type: "uuid" } },
			returns: { type: "any" },
		},
	},
	errors: { ORDER_NOT_FOUND: { status: 404, message: "Order not found" } },
});
const order = {
	id,
	status: "confirmed",
	currency: "EUR",
	items: [{ name: "Lamp <b>", quantity: 2, line_total: 40 }],
	subtotal: 40,
	discount_amount: 5,
	shipping_amount: 4.9,
	tax_amount: 6.37,
	prices_include_tax: true,
	total_amount: 39.9,
	coupon_codes: ["SUMMER"],
	shipping_address: {
		name: "Grace",
		line1: "<i>Street</i> 1",
		postal_code: "10117",
		city: "Berlin",
		country: "DE",
	},
	billing_address: null,
};

const { start } = gateways();
/** Result of the orders service. */
let read: () => object = () => order;
const open = (env: Record<string, string> = {}) =>
	start({
		stubs: [
			...stubbedServices().filter(({ name }) => name !== "orders"),
			defineService(orders as never)({
				actions: {
					async get(ctx: { params: { id: string }; meta: { token?: string; user: unknown } }) {
						if (ctx.params.id !== id || ctx.meta.token !== token || ctx.meta.user)
							throwError(orders, "ORDER_NOT_FOUND");
						return read();
					},
				} as never,
			}),
		],
		env,
	});
const show = ({ http }: Shop, query: string) => http(`GET /order?${query}`);

test("shows the order of a mailed link", async () => {
	read = () => order;
	const { status, headers, body } = await show(await open(), `token=${token}&id=${id}`);
	expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
	expect([headers.get("cache-control"), headers.get("referrer-policy")]).toEqual([
		"no-store",
		"no-referrer",
	]);
	for (const text of [
		`Order ${id}<br>\nStatus: confirmed`,
		"2 × Lamp &lt;b&gt;: €40.00",
		"Subtotal: €40.00<br>\nDiscount: -€5.00<br>\nShipping: €4.90<br>\n" +
			"Included tax: €6.37<br>\nTotal: €39.90",
		"Coupons: SUMMER",
		"Delivery address:<br>\nGrace<br>\n&lt;i&gt;Street&lt;/i&gt; 1<br>\n10117 Berlin<br>\nGermany",
	])
		expect(body).toContain(text);
	expect(body).not.toContain(token);
	expect(body).not.toContain("Billing");
});

test("shows an order of an older version, with its address as text", async () => {
	const { items, currency, total_amount, status } = order;
	read = () => ({ id, status, currency, items, total_amount, shipping_address: "Street 1" });
	const { body } = await show(await open(), `token=${token}&id=${id}`);
	expect(body).toContain("<p>Total: €39.90</p>");
	expect(body).toContain("Delivery address:<br>\nStreet 1");
});

test("rejects incomplete and wrong links, and limits guesses", async () => {
	read = () => order;
	const shop = await open({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "2" });
	for (const query of ["", `id=${id}`, `token=${token}`, `token=${token}&id=x`]) {
		const { status, body } = await show(shop, query);
		expect([status, body.includes("This link is incomplete.")]).toEqual([400, true]);
	}
	for (let i = 0; i < 2; i++) {
		const { status, body } = await show(shop, `token=${token}x&id=${id}`);
		expect([status, body.includes("This link is not valid.")]).toEqual([404, true]);
	}
	const { status, body } = await show(shop, `token=${token}&id=${id}`);
	expect([status, body.includes("Please try again in a moment.")]).toEqual([429, true]);
});

test("responds with 503 while the orders service is unavailable", async () => {
	read = () => {
		throw new Errors.ServiceNotAvailableError({ action: "orders.get" });
	};
	const { status, headers, body } = await show(await open(), `token=${token}&id=${id}`);
	expect([status, headers.get("retry-after")]).toEqual([503, "5"]);
	expect(body).toContain("Please try again in a moment.");
});
