import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { userRecord } from "../../test/support/records.ts";
import { admin, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";

const [grace, ada] = [userRecord(), userRecord()];
const [order, guestOrder] = [uuid(), uuid()];
let shop: Shop;
/** Accounts and orders that the stubs find. */
let accounts: (typeof grace)[];
let areOrdersDown: boolean;
const ids: string[] = [];
const stored = [
	{ user_id: grace.id, template: "welcome", status: "sent", subject: "Welcome to the shop" },
	{ user_id: grace.id, template: "order_shipped", status: "failed", order_id: order },
	{ user_id: ada.id, template: "order_shipped", status: "sent", order_id: uuid() },
	{ user_id: ada.id, template: "order_confirmed", status: "queued", order_id: uuid() },
	{ user_id: null, template: "order_shipped", status: "kept", order_id: guestOrder },
	{ user_id: grace.id, template: "order_confirmed", status: "sent", order_id: guestOrder },
];

beforeAll(async () => {
	shop = await startShop({
		services: ["notifications"],
		stubs: [
			stub(users, { search: async () => accounts.map(({ id }) => id) }),
			stub(orders, {
				async findByEmail({ params: { email } }) {
					if (areOrdersDown)
						throw new Errors.ServiceNotAvailableError({ action: "orders.findByEmail" });
					return email === "guest@example.com" ? [guestOrder] : [];
				},
			}),
		],
	});
	for (const { user_id, template, status, order_id, subject } of stored) {
		const id = uuid();
		ids.push(id);
		await shop.databases.query(
			"notifications",
			`insert into messages
				(id, user_id, event_id, channel, template, subject, data, status, next_at)
			values ($1, $2, $3, 'email', $4, $5, $6, $7, now() + interval '1 hour')`,
			[
				...[id, user_id, uuid(), template],
				subject ??
					`Order ${order_id} ${template === "order_shipped" ? "has shipped" : "is confirmed"}`,
				JSON.stringify(order_id ? { order_id } : {}),
				status,
			],
		);
	}
});
afterAll(() => shop?.stop());
beforeEach(() => {
	accounts = [];
	areOrdersDown = false;
});

type Params = Parameters<typeof call>[0];
const call = (
	params: { q?: string; status?: "sent"; template?: "order_shipped"; user_id?: string },
	user: object = admin!,
) => shop.call("notifications.list", params, { meta: { user } });
/** Positions of the listed messages. */
const positions = async (params: Params, user?: object) => {
	const { rows, total } = await call(params, user);
	expect(total).toBe(rows.length);
	return rows.map(({ id }) => ids.indexOf(id));
};

test("filters by status and template, also together and for a user", async () => {
	expect(await positions({ status: "sent" })).toEqual([5, 2, 0]);
	expect(await positions({ template: "order_shipped" })).toEqual([4, 2, 1]);
	expect(await positions({ template: "order_shipped", status: "sent" })).toEqual([2]);
	const user = { id: grace.id, email: grace.email, role: "user" };
	expect(await positions({ status: "sent" }, user)).toEqual([5, 0]);
});

describe("a search for messages", () => {
	test("finds the messages of matching accounts", async () => {
		accounts = [grace];
		expect(await positions({ q: "hopper" })).toEqual([5, 1, 0]);
		expect(await positions({ q: "hopper", template: "order_shipped" })).toEqual([1]);
	});

	test("finds messages by a part of the subject", async () => {
		expect(await positions({ q: "SHIPPED" })).toEqual([4, 2, 1]);
		accounts = [ada];
		expect(await positions({ q: "Welcome", user_id: grace.id })).toEqual([0]);
	});

	test("finds messages by the ID of the order in the subject", async () => {
		expect(await positions({ q: order.toUpperCase() })).toEqual([1]);
		expect(await positions({ q: `order ${guestOrder} is` })).toEqual([5]);
		expect(await positions({ q: uuid() })).toEqual([]);
	});

	test("finds the messages of a guest by the address of the order", async () => {
		expect(await positions({ q: "guest@example.com" })).toEqual([4]);
		expect(await positions({ q: "other@example.com" })).toEqual([]);
	});

	test("does not treat wildcards as such", async () => {
		expect(await positions({ q: "%" })).toEqual([]);
		expect(await positions({ q: `%${order}` })).toEqual([]);
	});

	test("fails if it would be incomplete", async () => {
		areOrdersDown = true;
		await expect(call({ q: "guest@example.com" })).rejects.toMatchObject({ code: 404 });
		expect(await positions({ q: "welcome" })).toEqual([0]);
	});

	test("requires an administrator", async () => {
		const user = { id: grace.id, email: grace.email, role: "user" };
		await expect(call({ q: "shipped" }, user)).rejects.toMatchObject({ type: "FORBIDDEN" });
	});
});
