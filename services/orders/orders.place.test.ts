import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { done, type Outcome, refused, waiting } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { customer } from "../../test/support/order-shop.ts";
import { admin } from "../../test/support/shop.ts";
import { as, home, pricedOrder, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps, placePriced } = orders;
const find = (id: string) => orders.shop.call("orders.get", { id }, as(admin!));
const query = (text: string, id: string) =>
	orders.shop.databases.query<{ n: number }>("orders", text, [id]);
const placed = async (id: string) =>
	(await query("select count(*)::int as n from orders where id = $1", id))[0]!.n;
const failure = (promise: Promise<unknown>) => promise.catch((error) => error);

test("places an order at the prices of the cart and keeps them", async () => {
	const [order_id, priced] = [uuid(), pricedOrder({ email: "Guest@Example.com" })];
	const order = await placePriced({ order_id, priced });
	const { tax_rate: _, ...line } = priced.lines[0]!;
	const expected = {
		id: order_id,
		user_id: null,
		email: "guest@example.com",
		status: "confirmed",
		items: [{ ...line, line_total: 39.98 }],
		subtotal: 39.98,
		discount_amount: 4,
		shipping_amount: 5,
		tax_amount: 6.54,
		total_amount: 40.98,
		prices_include_tax: true,
		shipping_method: { code: "standard", name: "Standard" },
		shipping_address: home,
		billing_address: null,
		coupon_codes: ["SUMMER"],
	};
	expect(order).toMatchObject(expected);
	const { adjustments, taxes, shipping_tax } = priced;
	expect(await find(order_id)).toMatchObject({
		...expected,
		items: [expect.objectContaining({ line_total: 39.98, total: 35.98 })],
		user: null,
		...{ adjustments, taxes, shipping_tax },
	});
	const [row] = await orders.shop.databases.query<{ shipping_address: string }>(
		"shipping",
		"select shipping_address from shipments where order_id = $1",
		[order_id],
	);
	expect(row!.shipping_address).toBe("Jo\nMain Street 1\n10115 Berlin\nGermany");
});

test("redeems the promotions between the reservation and the charge", async () => {
	const order_id = uuid();
	const priced = pricedOrder();
	await placePriced({ order_id, priced });
	expect(steps.of(order_id)).toEqual(["reserve", "redeem", "charge"]);
	const { promotion_id } = priced.adjustments[0]!;
	expect(steps.redemptions).toMatchObject([
		{ order_id, customer: "guest@example.com", uses: [{ promotion_id, amount: 4 }] },
	]);
	await placePriced({ priced: pricedOrder(), user_id: customer.id });
	expect(steps.redemptions).toMatchObject([{ customer: customer.id }]);
});

test("an order without promotions is not redeemed, and a free one is not charged", async () => {
	const order_id = uuid();
	await placePriced({ order_id, priced: pricedOrder({ adjustments: [] }) });
	expect(steps.of(order_id)).toEqual(["reserve", "charge"]);
	const free = uuid();
	await placePriced({ order_id: free, priced: pricedOrder({ total_amount: 0 }) });
	expect(steps.of(free)).toEqual(["reserve", "redeem"]);
});

test("a promotion that is used up cancels the order before any charge", async () => {
	const order_id = uuid();
	const promotion_id = uuid();
	steps.redeem = () => refused("USED_UP", undefined, { promotion_id, code: "SUMMER" });
	expect(await failure(placePriced({ order_id }))).toMatchObject({
		code: 409,
		type: "COUPON_USED_UP",
		data: { order_id, promotion_id, coupon_code: "SUMMER" },
	});
	expect(steps.of(order_id)).toEqual(["reserve", "redeem", "unredeem", "release"]);
	expect(await find(order_id)).toMatchObject({
		status: "cancelled",
		cancellation_reason: "COUPON_USED_UP",
	});
	// The repetition returns the same error. Its reservation, before it finds the order, is refused.
	expect(await failure(placePriced({ order_id }))).toMatchObject({
		type: "COUPON_USED_UP",
		data: { order_id },
	});
	expect(steps.of(order_id).slice(4)).toEqual(["reserve"]);
});

test("a cancellation returns the uses of the promotions", async () => {
	const order_id = uuid();
	await placePriced({ order_id });
	steps.calls = [];
	await orders.shop.call("orders.cancel", { id: order_id }, as(admin!));
	expect(steps.of(order_id)).toEqual(["reverse", "unredeem", "release"]);
});

test("concurrent calls with one ID place one order and return the same result", async () => {
	const order_id = uuid();
	const gate = Promise.withResolvers<Outcome>();
	steps.charge = () => gate.promise;
	const calls = [placePriced({ order_id }), placePriced({ order_id })];
	await eventually(() => expect(steps.of(order_id)).toContain("charge"));
	calls.push(placePriced({ order_id }));
	gate.resolve(done);
	const [first, ...others] = await Promise.all(calls);
	expect(first).toMatchObject({ id: order_id, status: "confirmed" });
	for (const other of others) expect(other).toEqual(first);
	expect(await placed(order_id)).toBe(1);
	// Each batch reserves the stock while it finds that the order exists, with no further effect.
	expect(steps.of(order_id).filter((step) => step !== "reserve")).toEqual(["redeem", "charge"]);
});

test("a repetition after a crash waits for the node that takes the order over", async () => {
	const order_id = uuid();
	await placePriced({ order_id });
	await query(
		`update orders set status = 'pending', saga_state = 'forward', saga_owner = 'gone',
			saga_since = now() - interval '1 hour' where id = $1`,
		order_id,
	);
	// On a busy machine, the takeover may take longer than a request waits.
	await eventually(async () =>
		expect(await placePriced({ order_id })).toMatchObject({ id: order_id, status: "confirmed" }),
	);
	expect(await placed(order_id)).toBe(1);
});

test("a repetition returns the payment that the order waits for", async () => {
	const order_id = uuid();
	steps.charge = () => waiting(null, { status: "processing", expires_at: null });
	const expected = { id: order_id, status: "pending", payment: { status: "processing" } };
	expect(await placePriced({ order_id })).toMatchObject(expected);
	expect(await placePriced({ order_id })).toMatchObject(expected);
});

test("an existing order does not prevent the others of its batch", async () => {
	const order_id = uuid();
	await placePriced({ order_id });
	const results = await Promise.all([placePriced({ order_id }), placePriced(), placePriced()]);
	expect(new Set(results.map(({ id }) => id)).size).toBe(3);
	for (const { status } of results) expect(status).toBe("confirmed");
});

test("rejects a card number as payment token", async () => {
	const order_id = uuid();
	const payment_token = "4242 4242 4242 4242";
	expect(await failure(placePriced({ order_id, payment_token }))).toMatchObject({ code: 422 });
	expect(await placed(order_id)).toBe(0);
});

test("events contain the address and the amounts of a priced order", async () => {
	const order_id = uuid();
	await placePriced({ order_id });
	await orders.shop.call("orders.ship", { id: order_id }, as(admin!));
	await orders.shop.call("orders.deliver", { id: order_id }, as(admin!));
	const events = await orders.shop.databases.query<{ type: string; data: object }>(
		"orders",
		"select type, data from outbox where subject = $1 order by xid, seq",
		[order_id],
	);
	expect(events.map(({ type }) => type)).toEqual([
		"order.created",
		"order.confirmed",
		"order.shipped",
		"order.delivered",
	]);
	for (const { data } of events)
		expect(data).toEqual({
			order_id,
			user_id: null,
			email: "guest@example.com",
			currency: "EUR",
			subtotal: 39.98,
			discount_amount: 4,
			shipping_amount: 5,
			tax_amount: 6.54,
			total_amount: 40.98,
		});
});

test("the timeline of an order with promotions contains their redemption", async () => {
	const entries = async (priced: object) => {
		const { id } = await placePriced({ priced });
		const found = await orders.shop.call("orders.timeline", { id }, as(admin!));
		return found.entries.map(({ source, kind, name }) => `${source} ${kind} ${name}`);
	};
	const redeemed = "promotions step promotion.redeemed";
	expect(await entries(pricedOrder())).toContain(redeemed);
	expect(await entries(pricedOrder({ adjustments: [] }))).not.toContain(redeemed);
});

test("haveOrdered finds accounts and guests with an order that is not cancelled", async () => {
	const [buyer, canceller, stranger] = [uuid(), uuid(), uuid()];
	const email = `${uuid()}@example.com`;
	await placePriced({ user_id: buyer });
	await placePriced({ priced: pricedOrder({ email }) });
	const { id } = await placePriced({ user_id: canceller });
	await orders.shop.call("orders.cancel", { id }, as(admin!));
	const customers = [stranger, email, buyer, "nobody@example.com", canceller];
	expect(await orders.shop.call("orders.haveOrdered", { customers })).toEqual([
		false,
		true,
		true,
		false,
		false,
	]);
});
