import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { inventory } from "../inventory/inventory.contract.ts";
import { payments } from "../payments/payments.contract.ts";
import { products } from "../products/products.contract.ts";
import { users } from "../users/users.contract.ts";
import "./orders.contract.ts";

const time = "2026-01-01T00:00:00.000Z";
const customer = { id: uuid(), email: "customer@example.com", role: "user" as const };
const product = (id: string) => ({
	id,
	name: "Tea",
	description: null,
	price: 19.99,
	currency: "EUR",
	category: "Drinks",
	sku: null,
	created_at: time,
	updated_at: time,
});
const unknownProduct = uuid();

/** What the neighbours were asked to do, and how they answer next. */
let asked: string[];
let reserve: () => Promise<Outcome> | Outcome;
let release: () => Promise<Outcome> | Outcome;
let charge: () => Promise<Outcome> | Outcome;
const command =
	(name: string, answer: () => Promise<Outcome> | Outcome) =>
	async (ctx: { params: { orders: { order_id: string }[] } }) =>
		Promise.all(
			ctx.params.orders.map(({ order_id }) => {
				asked.push(`${name} ${order_id}`);
				return answer();
			}),
		);

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({
		services: ["orders", "shipping"],
		stubs: [
			stub(users, {
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => ({
						id,
						email: "customer@example.com",
						full_name: "C",
						role: "user",
						is_active: true,
						is_verified: true,
						created_at: time,
						updated_at: time,
					})),
			}),
			stub(products, {
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => (id === unknownProduct ? null : product(id))),
			}),
			stub(inventory, {
				reserve: command("reserve", () => reserve()),
				release: command("release", () => release()),
			}),
			stub(payments, {
				charge: command("charge", () => charge()),
				reverse: command("reverse", () => done),
			}),
		],
	});
});
afterAll(() => shop?.stop());
beforeEach(() => {
	asked = [];
	reserve = () => done;
	release = () => done;
	charge = () => done;
});

const as = (user: object) => ({ meta: { user } });
const item = (quantity = 1) => ({ product_id: uuid(), quantity });
const place = (over: object = {}) =>
	shop.call("orders.create", { items: [item(2)], ...over }, as(customer));
const steps = (id: string) =>
	asked.filter((line) => line.endsWith(id)).map((line) => line.split(" ")[0]);
const eventsOf = async (id: string) =>
	(
		await shop.databases.query<{ type: string }>(
			"orders",
			"select type from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type }) => type);

test("an order that all steps agree to is confirmed at the catalogue's prices", async () => {
	const order = await place();
	expect(order).toMatchObject({
		status: "confirmed",
		total_amount: 39.98,
		currency: "EUR",
		user_id: customer.id,
	});
	expect(order.items).toMatchObject([
		{ name: "Tea", quantity: 2, unit_price: 19.99, line_total: 39.98 },
	]);
	const stored = await shop.call("orders.get", { id: order.id }, as(customer));
	expect(stored).toMatchObject({
		...order,
		items: [{ ...order.items[0], product: { name: "Tea" } }],
		user: { id: customer.id },
	});
	expect(await eventsOf(order.id)).toEqual(["order.created", "order.confirmed"]);
});

test("a refused first step cancels the order and asks for nothing but to undo it, in case the call arrives once more", async () => {
	reserve = () => refused("OUT_OF_STOCK");
	const failed = await place().catch((error) => error);
	expect(failed).toMatchObject({
		code: 409,
		type: "OUT_OF_STOCK",
		data: { order_id: expect.any(String) },
	});
	const { order_id } = failed.data;
	expect(await shop.call("orders.get", { id: order_id }, as(customer))).toMatchObject({
		status: "cancelled",
		cancellation_reason: "OUT_OF_STOCK",
	});
	expect(steps(order_id)).toEqual(["reserve", "release"]);
	expect(await eventsOf(order_id)).toEqual(["order.created", "order.cancelled"]);
});

test("a request whose order is still being placed under the same key is told the order's id", async () => {
	const gate = Promise.withResolvers<Outcome>();
	reserve = () => gate.promise;
	const items = [item()];
	const create = (meta: object = {}) =>
		shop.call(
			"orders.create",
			{ items },
			{ meta: { user: customer, idempotency_key: "running", ...meta } },
		);
	const { id } = await create({ respond_async: true });
	await expect(create()).rejects.toMatchObject({
		code: 409,
		type: "IDEMPOTENCY_KEY_IN_USE",
		data: { order_id: id },
	});
	gate.resolve(done);
	await eventually(async () => expect(await create()).toMatchObject({ id, status: "confirmed" }));
});

test("a declined payment gives the stock back", async () => {
	charge = () => refused("PAYMENT_DECLINED", "insufficient funds");
	const failed = await place().catch((error) => error);
	expect(failed).toMatchObject({
		code: 402,
		type: "PAYMENT_DECLINED",
		data: { reason: "insufficient funds" },
	});
	expect(steps(failed.data.order_id)).toEqual(["reserve", "charge", "reverse", "release"]);
});

test("an undeliverable address gives money and stock back", async () => {
	const failed = await place({ shipping_address: "Undeliverable Road" }).catch((error) => error);
	expect(failed).toMatchObject({ type: "UNDELIVERABLE" });
	expect(steps(failed.data.order_id)).toEqual(["reserve", "charge", "reverse", "release"]);
});

test("a step that says nothing is asked again until it says something", async () => {
	const answers: (() => Promise<Outcome> | Outcome)[] = [
		() => pending,
		() => Promise.reject(new Error("no idea")),
		() => done,
	];
	charge = () => answers.shift()!();
	expect(await place()).toMatchObject({ status: "confirmed" });
});

test("an order that takes too long is answered as pending and settles later", async () => {
	let open = () => {};
	const gate = new Promise<void>((resolve) => {
		open = resolve;
	});
	charge = () => gate.then(() => done);
	const slow = shop.call(
		"orders.create",
		{ items: [item()] },
		{ meta: { user: customer, respond_async: true } },
	);
	const { id, status } = await slow;
	expect(status).toBe("pending");
	open();
	await eventually(async () =>
		expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
});

test("cancelling a confirmed order takes back every step, last one first", async () => {
	const { id } = await place();
	asked = [];
	const cancelled = await shop.call(
		"orders.cancel",
		{ id, reason: "Changed my mind" },
		as(customer),
	);
	expect(cancelled).toMatchObject({ status: "cancelled", cancellation_reason: "Changed my mind" });
	expect(steps(id)).toEqual(["reverse", "release"]);
	await expect(shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
});

test("a cancel that comes while the order is on its way wins, and the order is never confirmed", async () => {
	let answer: (outcome: Outcome) => void = () => {};
	const reached = new Promise<void>((resolve) => {
		charge = () => {
			resolve();
			return new Promise((answered) => {
				answer = answered;
			});
		};
	});
	const placing = place().catch((error) => error);
	await reached;
	const id = asked.at(-1)!.split(" ")[1]!;
	const cancelling = shop.call("orders.cancel", { id }, as(customer));
	await eventually(() => expect(steps(id)).toContain("release"));
	answer(done);
	expect(await cancelling).toMatchObject({ status: "cancelled" });
	expect(await placing).toMatchObject({ type: "ORDER_CANCELLED" });
	expect(await eventsOf(id)).toEqual(["order.created", "order.cancelled"]);
});

test("a shipped order is delivered, and no longer cancelled", async () => {
	const { id } = await place();
	await expect(shop.call("orders.deliver", { id }, as(admin!))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await shop.call("orders.ship", { id }, as(admin!))).toMatchObject({ status: "shipped" });
	await expect(shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await shop.call("orders.deliver", { id }, as(admin!))).toMatchObject({
		status: "delivered",
	});
	expect(await eventsOf(id)).toEqual([
		"order.created",
		"order.confirmed",
		"order.shipped",
		"order.delivered",
	]);
});

test("a parcel that left the house ships the order, even if nobody noted it, and bars the way back", async () => {
	const { id } = await place();
	await shop.call("shipping.dispatch", { orders: [{ order_id: id }] });
	await eventually(async () =>
		expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "shipped",
		}),
	);
	await expect(shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
});

test("an open order of a node that fell silent is taken over and finished", async () => {
	const { id } = await place();
	await shop.databases.query(
		"orders",
		"update orders set status = 'pending', saga_state = 'forward', saga_owner = 'gone' where id = $1",
		[id],
	);
	await eventually(async () =>
		expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
	expect(steps(id).filter((step) => step === "charge")).toHaveLength(2);
});

const meddle = (id: string, change: string) =>
	shop.databases.query("orders", `update orders set ${change} where id = $1`, [id]);

test("an order that this node owns and nobody runs, because an answer of the database was lost, is finished as well", async () => {
	const { id } = await place();
	const owner = shop.broker.nodeID;
	await meddle(
		id,
		`status = 'pending', saga_state = 'forward', saga_owner = '${owner}', saga_since = now() - interval '1 hour'`,
	);
	await eventually(async () =>
		expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
});

test("an order that got stuck on its way back stays so until it is cancelled once more", async () => {
	const { id } = await place();
	await meddle(id, "saga_state = 'stuck', saga_owner = null, saga_reason = 'PAYMENT_DECLINED'");
	expect(await shop.call("orders.cancel", { id, reason: "Again" }, as(customer))).toMatchObject({
		status: "cancelled",
		cancellation_reason: "PAYMENT_DECLINED",
	});
});

test("a cancel that another node had to give up is refused", async () => {
	const { id } = await place();
	release = async () => {
		await meddle(id, "saga_state = null, saga_owner = null, saga_attempt = saga_attempt + 1");
		return done;
	};
	const cancelling = shop.call("orders.cancel", { id }, as(customer));
	await expect(cancelling).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
		data: { status: "confirmed" },
	});
});

test("an unknown product places nothing", async () => {
	const before = await shop.databases.query("orders", "select count(*) from orders");
	await expect(
		place({ items: [item(), { product_id: unknownProduct, quantity: 1 }] }),
	).rejects.toMatchObject({
		type: "PRODUCT_NOT_FOUND",
		data: { product_ids: [unknownProduct] },
	});
	expect(await shop.databases.query("orders", "select count(*) from orders")).toEqual(before);
});

test("a customer sees their own orders only, an admin everybody's", async () => {
	const { id } = await place();
	const stranger = { id: uuid(), email: "stranger@example.com", role: "user" };
	await expect(shop.call("orders.get", { id }, as(stranger))).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
	await expect(shop.call("orders.cancel", { id }, as(stranger))).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
	expect(await shop.call("orders.list", {}, as(stranger))).toEqual({ rows: [], total: 0 });
	await expect(
		shop.call("orders.list", { user_id: customer.id }, as(stranger)),
	).rejects.toMatchObject({ type: "FORBIDDEN" });
	const all = await shop.call("orders.list", { limit: 1, status: "confirmed" }, as(admin!));
	expect(all.rows).toHaveLength(1);
	expect(all.total).toBeGreaterThan(1);
});

test("orders are counted up to ten thousand, and estimated above", async () => {
	const { id } = await place();
	const [user_id, other] = [uuid(), uuid()];
	// Older than all others, so that these come first in nobody's list but their own.
	const copies = `insert into orders select (jsonb_populate_record(o, jsonb_build_object('id', '00000000-0000-7000-8000-' || lpad(n::text, 12, '0'),
		'status', 'delivered', 'user_id', case when n <= 50 then $2 else $3 end))).* from orders o, generate_series(1, 10051) n where o.id = $1`;
	await shop.databases.query("orders", copies, [id, other, user_id]);
	const total = async (filter: object) =>
		(await shop.call("orders.list", { limit: 1, skip: 20_000, ...filter }, as(admin!))).total;
	expect([await total({ user_id }), await total({ user_id: other })]).toEqual([10_001, 50]);
	expect(await total({ user_id: other, status: "delivered" })).toBe(50);
	for (const filter of [{}, { status: "delivered" }])
		expect(await total(filter)).toBeGreaterThan(10_000);
	const page = await shop.call("orders.list", { user_id, skip: 9_999, limit: 3 }, as(admin!));
	expect([page.rows.length, page.total]).toEqual([2, 10_001]);
	await shop.databases.query("orders", "delete from orders where user_id = any($1)", [
		[user_id, other],
	]);
});

test("orders placed together share their steps, and each has its own outcome", async () => {
	let n = 0;
	reserve = () => (n++ % 2 ? refused("OUT_OF_STOCK") : done);
	const settled = await Promise.allSettled(Array.from({ length: 20 }, () => place()));
	expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
});

test("the same idempotency key and body make one order, also at the same time, and the answer comes again", async () => {
	const items = [item()];
	const idempotency_key = uuid();
	const send = (body: object = { items }) => {
		const meta: Meta = { user: customer, idempotency_key };
		return shop.call("orders.create", body as { items: typeof items }, { meta }).then(
			(order) => ({ order, replayed: meta.$responseHeaders?.["Idempotent-Replayed"] }),
			(error) => ({ error }),
		);
	};
	const answers = await Promise.all([send(), send(), send()]);
	const made = answers.filter((answer) => "order" in answer);
	const ids = new Set(made.map(({ order }) => order.id));
	expect(ids.size).toBe(1);
	for (const answer of answers)
		if ("error" in answer) expect(answer.error).toMatchObject({ type: "IDEMPOTENCY_KEY_IN_USE" });
	const [first] = made;
	expect(await send()).toEqual({ order: first!.order, replayed: "true" });
	expect(await send({ items: [item()] })).toMatchObject({
		error: { type: "IDEMPOTENCY_KEY_REUSED" },
	});
	const [{ count }] = (await shop.databases.query(
		"orders",
		"select count(*)::int from idempotency_keys where key = $1",
		[idempotency_key],
	)) as [{ count: number }];
	expect(count).toBe(1);
});

test("a failed order fails again under its key, with the shortage, and a lost response is rebuilt from the order", async () => {
	const items = [item(2)];
	const shortage = { product_id: items[0]!.product_id, available: 1 };
	reserve = () => refused("OUT_OF_STOCK", shortage.product_id, shortage);
	const meta = () => ({ user: customer, idempotency_key: "once" });
	const failed = await shop
		.call("orders.create", { items }, { meta: meta() })
		.catch((error) => error);
	reserve = () => done;
	const same = { type: "OUT_OF_STOCK", code: 409, data: { order_id: failed.data.order_id } };
	const whole = {
		...same,
		message: 'Not enough stock of "Tea": 2 ordered, 1 available',
		data: { ...same.data, ...shortage, name: "Tea" },
	};
	expect(failed).toMatchObject(whole);
	await expect(shop.call("orders.create", { items }, { meta: meta() })).rejects.toMatchObject(
		whole,
	);
	await shop.databases.query(
		"orders",
		"update idempotency_keys set status = null, answer = null where key = 'once'",
	);
	await expect(shop.call("orders.create", { items }, { meta: meta() })).rejects.toMatchObject(same);
});

test("a key that has expired is free again, pruned or not, and of those who use it at the same time one gets it", async () => {
	const idempotency_key = uuid();
	const send = async (items = [item()]) => {
		const meta: Meta = { user: customer, idempotency_key };
		return shop.call("orders.create", { items }, { meta });
	};
	const first = await send();
	const age = (hours: number) =>
		shop.databases.query(
			"orders",
			"update idempotency_keys set created_at = now() - make_interval(hours => $2) where key = $1",
			[idempotency_key, hours],
		);
	await age(23);
	await expect(send()).rejects.toMatchObject({ type: "IDEMPOTENCY_KEY_REUSED" });
	await age(25);
	const items = [item()];
	const answers = await Promise.allSettled(Array.from({ length: 4 }, () => send(items)));
	const made = new Set(
		answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.id] : [])),
	);
	expect(made.size).toBe(1);
	expect(made).not.toContain(first.id);
	for (const answer of answers)
		if (answer.status === "rejected")
			expect(answer.reason).toMatchObject({ type: "IDEMPOTENCY_KEY_IN_USE" });
	expect(made).toContain((await send(items)).id);
});

test("keys that have expired are pruned while the service runs, and others stay", async () => {
	await shop.databases.query(
		"orders",
		`insert into idempotency_keys (user_id, action, key, body_hash, created_at)
		select gen_random_uuid(), 'orders.create', 'to be pruned ' || n, '', now() - make_interval(hours => case when n = 0 then 23 else 25 end)
		from generate_series(0, 2500) n`,
	);
	// As it does every minute.
	(shop.broker.getLocalService("orders") as unknown as { $pruning: Poller }).$pruning.wake();
	await eventually(async () => {
		const rows = await shop.databases.query(
			"orders",
			"select key from idempotency_keys where key like 'to be pruned %'",
		);
		expect(rows).toEqual([{ key: "to be pruned 0" }]);
	});
});

test("an order that cannot be taken back is stuck, is listed, and is taken back when somebody retries it", async () => {
	const { id } = await place();
	release = () => refused("FULFILLED");
	await shop.call("orders.cancel", { id }, as(customer));
	const listed = await shop.call("orders.stuck", {});
	expect(listed.rows).toContainEqual({
		id,
		user_id: customer.id,
		status: "confirmed",
		reason: "Cancelled on request",
		created_at: expect.any(String),
	});
	expect(listed.count).toBe(listed.rows.length);
	expect(await shop.call("orders.fates", { order_ids: [id] })).toEqual(["open"]);

	release = () => done;
	expect(await shop.call("orders.retry", { id })).toMatchObject({ id });
	await eventually(async () =>
		expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "cancelled",
		}),
	);
	expect((await shop.call("orders.stuck", {})).rows.map((row) => row.id)).not.toContain(id);
	await expect(shop.call("orders.retry", { id })).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	await expect(shop.call("orders.retry", { id: uuid() })).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
});

test("what becomes of an order: open, confirmed, cancelled, or nobody knows of it", async () => {
	const { id: confirmed } = await place();
	const { id: shipped } = await place();
	await shop.call("orders.ship", { id: shipped }, as(admin!));
	const { id: cancelled } = await place();
	await shop.call("orders.cancel", { id: cancelled }, as(customer));
	const answering = Promise.withResolvers<Outcome>();
	charge = () => answering.promise;
	const { id: open } = await shop.call(
		"orders.create",
		{ items: [item()] },
		{ meta: { user: customer, respond_async: true } },
	);
	const fates = await shop.call("orders.fates", {
		order_ids: [open, confirmed, uuid(), shipped, cancelled],
	});
	expect(fates).toEqual(["open", "confirmed", "unknown", "confirmed", "cancelled"]);
	answering.resolve(done);
});

test("a parcel that came back cannot be delivered", async () => {
	const { id } = await place();
	await shop.call("orders.ship", { id }, as(admin!));
	await shop.call("shipping.return", { orders: [{ order_id: id }] });
	await expect(shop.call("orders.deliver", { id }, as(admin!))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await shop.call("orders.get", { id }, as(customer))).toMatchObject({ status: "shipped" });
});
