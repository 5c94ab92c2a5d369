import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { exampleOf } from "../lib/contracts/examples.ts";
import type { Rule, Shape } from "../lib/contracts/schema.ts";
import { MONEY_MAX } from "../lib/money/currency.ts";
import { isOutage } from "../lib/resilience/outages.ts";
import { presentContracts } from "../tools/contracts/release.ts";
import {
	type Customer,
	cancelOrder,
	makeAdmin,
	makeProduct,
	placeOrder,
} from "./support/builders.ts";
import { clientOf } from "./support/client.ts";
import { type Shop, startShop } from "./support/shop.ts";

let shop: Shop;
let owner: Customer;
/** Ids of existing rows by service and parameter, so that lookups succeed. */
let existing: Record<string, Record<string, string>>;
beforeAll(async () => {
	shop = await startShop();
	owner = await makeAdmin(shop);
	const { id: product_id } = await makeProduct(shop, owner);
	const { body: order } = await placeOrder(shop, owner, { id: product_id });
	const { body: payments } = await shop.http(`GET /api/payments?order_id=${order.id}`, {
		token: owner.token,
	});
	existing = {
		users: { id: owner.id, user_id: owner.id },
		products: { id: product_id },
		inventory: { product_id },
		orders: { id: order.id },
		payments: { id: payments[0].id, order_id: order.id },
	};
});
afterAll(() => shop?.stop());

const DIGITS = [18, 19, 20, 40].flatMap((length) => ["9".repeat(length), `-${"9".repeat(length)}`]);
const TIMES = [
	"0000-01-01",
	"0001-01-01T00:00:00Z",
	"9999-12-31T23:59:59.999999Z",
	"+275760-09-13T00:00:00Z",
	"-000001-01-01T00:00:00Z",
];

/** Values at the limits of a rule, or extreme values if the rule has no limit. */
function extremes(rule: Rule): unknown[] {
	switch (rule.type) {
		case "number":
			return [
				rule.min ?? Number.MIN_SAFE_INTEGER,
				rule.max ?? Number.MAX_SAFE_INTEGER,
				...(rule.integer ? [] : [Number.MAX_VALUE]),
			];
		case "money":
			return [rule.min ?? 0, MONEY_MAX];
		case "string": {
			const longest = rule.length ?? rule.max ?? 10_000;
			return [
				"x".repeat(rule.min ?? 0),
				"x".repeat(longest),
				"🛒".repeat(longest),
				"orders:x",
				"stock:x",
				...DIGITS,
				...TIMES,
			];
		}
		case "email":
			return [`${"x".repeat((rule.max ?? 254) - 12)}@example.com`];
		case "time":
			return TIMES;
		case "uuid":
			return ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff"];
		case "array":
			return extremes(rule.items).map((item) => [item]);
		case "object":
			return variants(rule.props);
		case "record":
			return [
				...extremes(rule.value).map((value) => ({ name: value })),
				...extremes(rule.key).map((key) => ({ [key as string]: exampleOf(rule.value) })),
				Object.fromEntries(
					Array.from({ length: rule.max }, (_, i) => [
						`${i}`.padEnd(rule.key.max ?? 10, "\u{20000}"),
						extremes(rule.value)[2],
					]),
				),
			];
		case "multi":
			return rule.rules.flatMap(extremes);
		default:
			return [];
	}
}
/** Parameters with an extreme value in one field and ordinary values in all others. */
const variants = (params: Shape, known: Record<string, string> = {}): object[] =>
	Object.entries(params).flatMap(([field, rule]) =>
		extremes(rule).map((value) => ({ ...sample(params, known), [field]: value })),
	);
const sample = (params: Shape, known: Record<string, string>): object =>
	Object.fromEntries(
		Object.entries(params).flatMap(([field, rule]) =>
			rule.optional ? [] : [[field, known[field] ?? exampleOf(rule)]],
		),
	);

/**
 * Whether an error is internal: a value that exceeds a column fails without a status below 500. A
 * rejection because of too many simultaneous calls is none.
 */
const isInternal = (error: { code?: unknown }) =>
	!isOutage(error) && (typeof error.code !== "number" || error.code >= 500);

// First: the other test creates tax rates and promotions, which change the price of an order.
test("no header exceeds the range of the column that stores or compares it", async () => {
	const { token } = await makeAdmin(shop);
	const product = await makeProduct(shop, owner);
	const headers = { "idempotency-key": "~".repeat(255) };
	const { status, body: order } = await placeOrder(shop, { token }, product, {}, headers);
	expect(status).toBe(201);
	// The event stream of a cancelled order ends at once.
	await cancelOrder(clientOf(shop, { token }), { id: order.id });
	for (const position of ["9223372036854775808", ...DIGITS]) {
		const { status } = await shop.http(`GET /api/orders/${order.id}/events`, {
			token,
			headers: { "last-event-id": position },
		});
		expect([position, status]).toEqual([position, /^\d{1,18}$/.test(position) ? 204 : 400]);
	}
});

test("no parameter exceeds the range of the column that stores or compares it", async () => {
	const errors: string[] = [];
	const user = { id: owner.id, email: owner.email, role: "admin" };
	let calls = 0;
	for (const { name, actions } of await presentContracts()) {
		for (const [action, { params }] of Object.entries(actions)) {
			await Promise.all(
				variants(params, existing[name]).map(async (values) => {
					calls++;
					const error = await shop.broker
						.call(`${name}.${action}`, structuredClone(values), { meta: { user } } as never)
						.then(
							() => undefined,
							(reason) => reason,
						);
					if (error && isInternal(error))
						errors.push(
							`${name}.${action} ${JSON.stringify(values).slice(0, 200)}: ${error.message}`,
						);
				}),
			);
		}
	}
	expect(errors).toEqual([]);
	expect(calls).toBeGreaterThan(500);
});
