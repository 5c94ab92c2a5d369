import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Value } from "../../../lib/contracts/schema.ts";
import { serviceNames } from "../../../lib/settings/node.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../../test/support/builders.ts";
import { services as folder } from "../../../test/support/databases.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { promotions } from "../../promotions/promotions.contract.ts";
import type { PricedOrder } from "../orders.rules.ts";
import { pricedOrder } from "../test/stubbed-order-shop.ts";

type Redemption = Value<typeof promotions.actions.auditRedemptions.returns>[number];

let shop: Shop;
let admin: Customer;
let customer: Customer;
let product: { id: string };
/** Redemptions of the stubbed promotions, and whether the service responds. */
const redemptions = new Map<string, Redemption>();
let isDown = false;
const outage = () => Object.assign(new Error("No response"), { type: "REQUEST_TIMEOUT" });
beforeAll(async () => {
	const record = (order_id: string, status: Redemption["status"], uses: Redemption["uses"]) => {
		redemptions.set(order_id, { order_id, status, uses });
		return { status: "done" as const };
	};
	const stubbed = stub(promotions, {
		automatic: async () => [],
		redeem: async ({ params: { orders } }) =>
			orders.map(({ order_id, uses }) => record(order_id, "redeemed", uses)),
		release: async ({ params: { orders } }) =>
			orders.map(({ order_id }) => record(order_id, "released", [])),
		history: async () => [],
		async auditRedemptions({ params: { after, upto } }) {
			if (isDown) throw outage();
			return [...redemptions.values()]
				.filter(({ order_id: id }) => id > after && (upto === null || id <= upto))
				.sort((a, b) => a.order_id.localeCompare(b.order_id));
		},
	});
	const services = serviceNames(folder).filter((name) => name !== "promotions");
	shop = await startShop({ services, stubs: [stubbed] });
	[admin, customer] = [await makeAdmin(shop), await register(shop)];
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(() => shop?.stop());
beforeEach(() => {
	isDown = false;
});

/** Places an order with a coupon, tax and shipping costs. */
async function buy(): Promise<string> {
	const [line] = pricedOrder().lines as [PricedOrder["lines"][number]];
	const { id } = await shop.call("orders.place", {
		order_id: uuid(),
		user_id: customer.id,
		payment_token: "tok_ok",
		priced: pricedOrder({ email: null, lines: [{ ...line, product_id: product.id }] }),
	});
	await eventually(async () => expect(await audit(id)).toEqual([]));
	return id;
}
const post = (path: string, body: object = {}) =>
	shop.http(`POST /api/orders/${path}`, { token: admin.token, body });
/** Runs a complete audit: a page ends early on a busy machine. */
async function violations(params: object = {}) {
	const found: { invariant: string; subject: string }[] = [];
	for (let after: string | null = ""; after !== null; ) {
		const page: { violations: typeof found; next: string | null } = await shop.call(
			"orders.audit",
			{ quiet: 0, recheck: 0, ...params, ...(after ? { after } : {}) },
		);
		found.push(...page.violations);
		after = page.next;
	}
	return found;
}
const audit = async (id: string) =>
	(await violations()).filter(({ subject }) => subject === id).map(({ invariant }) => invariant);
const damage = (text: string, ...values: unknown[]) => shop.databases.query("orders", text, values);

test("finds no violation after refunds of lines and cancellations", async () => {
	const [refunded, cancelled] = [await buy(), await buy()];
	const items = [{ product_id: product.id, quantity: 1 }];
	expect((await post(`${refunded}/refunds`, { items, shipping: true })).status).toBe(201);
	expect((await post(`${cancelled}/refunds`, { items })).status).toBe(201);
	expect((await post(`${cancelled}/cancel`)).status).toBe(200);
	for (const id of [refunded, cancelled])
		await eventually(async () => expect(await audit(id)).toEqual([]));
});

const SET_PRICED = "update orders set priced = jsonb_set(priced::jsonb,";
test.each<[string, string]>([
	[
		"a line",
		"update orders set items = replace(items::text, '35.98', '35.97')::json where id = $1",
	],
	["the shipping costs", `${SET_PRICED} '{shipping_amount}', '4') where id = $1`],
	["the subtotal", `${SET_PRICED} '{subtotal}', '39.97') where id = $1`],
	["the discount", `${SET_PRICED} '{discount_amount}', '3') where id = $1`],
	["a promotion", `${SET_PRICED} '{adjustments,0,amount}', '3') where id = $1`],
	["the tax", `${SET_PRICED} '{tax_amount}', '6') where id = $1`],
	["a tax", `${SET_PRICED} '{taxes,0,amount}', '6') where id = $1`],
])("reports an order when %s was changed", async (_case, text) => {
	const id = await buy();
	await damage(text, id);
	expect(await audit(id)).toContain("WRONG_TOTAL");
	await damage("delete from orders where id = $1", id);
});

test("reports a refund of lines that the payment does not contain", async () => {
	const id = await buy();
	await damage("update orders set has_refunds = true where id = $1", id);
	await damage(
		`insert into refunds (id, order_id, items, shipping_amount, amount, tax_amount, status)
		values (gen_random_uuid(), $1, '[]', 0, 1, 0, 'done')`,
		id,
	);
	expect(await audit(id)).toEqual(["REFUND_MISSING"]);
});

test("reports redemptions that do not match their order", async () => {
	const [missing, other, cancelled, orphan] = [await buy(), await buy(), await buy(), uuid()];
	redemptions.delete(missing);
	const [use] = redemptions.get(other)!.uses;
	redemptions.get(other)!.uses = [{ ...use!, amount: 3.99 }];
	await post(`${cancelled}/cancel`);
	await eventually(async () => expect(await audit(cancelled)).toEqual([]));
	redemptions.get(cancelled)!.status = "redeemed";
	redemptions.set(orphan, { order_id: orphan, status: "redeemed", uses: [] });
	expect(await audit(missing)).toEqual(["WRONG_REDEMPTION"]);
	expect(await audit(other)).toEqual(["WRONG_REDEMPTION"]);
	expect(await audit(cancelled)).toEqual(["CANCELLED_BUT_REDEEMED"]);
	expect(await audit(orphan)).toEqual(["REDEMPTION_WITHOUT_ORDER"]);
});

test("without the promotions service, audits orders that use none, and no others", async () => {
	await buy();
	const since = new Date().toISOString();
	const body = { items: [{ product_id: product.id, quantity: 1 }] };
	const { status } = await shop.http("POST /api/orders", { token: customer.token, body });
	expect(status).toBe(201);
	isDown = true;
	await eventually(async () => expect(await violations({ since })).toEqual([]));
	await expect(violations()).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
});
