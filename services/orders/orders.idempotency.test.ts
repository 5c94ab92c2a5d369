import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { done, type Outcome, refused } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { customer } from "../../test/support/order-shop.ts";
import { item, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps } = orders;

test("a repeated key returns the order's ID while the first request is in progress", async () => {
	const gate = Promise.withResolvers<Outcome>();
	steps.reserve = () => gate.promise;
	const items = [item()];
	const create = (meta: object = {}) =>
		orders.shop.call(
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

test("concurrent requests with one key and body create one order", async () => {
	const items = [item()];
	const idempotency_key = uuid();
	const send = (body: object = { items }) => {
		const meta: Meta = { user: customer, idempotency_key };
		return orders.shop.call("orders.create", body as { items: typeof items }, { meta }).then(
			(order) => ({ order, replayed: meta.$responseHeaders?.["Idempotent-Replayed"] }),
			(error) => ({ error }),
		);
	};
	const results = await Promise.all([send(), send(), send()]);
	const made = results.filter((result) => "order" in result);
	const ids = new Set(made.map(({ order }) => order.id));
	expect(ids.size).toBe(1);
	for (const result of results)
		if ("error" in result) expect(result.error).toMatchObject({ type: "IDEMPOTENCY_KEY_IN_USE" });
	const [first] = made;
	expect(await send()).toEqual({ order: first!.order, replayed: "true" });
	expect(await send({ items: [item()] })).toMatchObject({
		error: { type: "IDEMPOTENCY_KEY_REUSED" },
	});
	const [{ count }] = (await orders.shop.databases.query(
		"orders",
		"select count(*)::int from idempotency_keys where key = $1",
		[idempotency_key],
	)) as [{ count: number }];
	expect(count).toBe(1);
	// The stock that was reserved for the others, while their keys were claimed, is released.
	const reserved = steps.calls.filter((call) => call.startsWith("reserve")).length;
	await eventually(() =>
		expect(steps.calls.filter((call) => call.startsWith("release"))).toHaveLength(reserved - 1),
	);
	expect(steps.of([...ids][0]!)).toEqual(["reserve", "charge"]);
});

test("a repeated key returns the stored error, or rebuilds it from the order", async () => {
	const items = [item(2)];
	const shortage = { product_id: items[0]!.product_id, available: 1 };
	steps.reserve = () => refused("OUT_OF_STOCK", shortage.product_id, shortage);
	const meta = () => ({ user: customer, idempotency_key: "once" });
	const failed = await orders.shop
		.call("orders.create", { items }, { meta: meta() })
		.catch((error) => error);
	steps.reserve = () => done;
	const same = { type: "OUT_OF_STOCK", code: 409, data: { order_id: failed.data.order_id } };
	const whole = {
		...same,
		message: 'Not enough stock of "Tea": 2 ordered, 1 available',
		data: { ...same.data, ...shortage, name: "Tea" },
	};
	expect(failed).toMatchObject(whole);
	await expect(
		orders.shop.call("orders.create", { items }, { meta: meta() }),
	).rejects.toMatchObject(whole);
	await orders.shop.databases.query(
		"orders",
		"update idempotency_keys set status = null, answer = null where key = 'once'",
	);
	await expect(
		orders.shop.call("orders.create", { items }, { meta: meta() }),
	).rejects.toMatchObject(same);
});

test("an expired key can be used again, once, before and after it is pruned", async () => {
	const idempotency_key = uuid();
	const send = async (items = [item()]) => {
		const meta: Meta = { user: customer, idempotency_key };
		return orders.shop.call("orders.create", { items }, { meta });
	};
	const first = await send();
	const age = (hours: number) =>
		orders.shop.databases.query(
			"orders",
			"update idempotency_keys set created_at = now() - make_interval(hours => $2) where key = $1",
			[idempotency_key, hours],
		);
	await age(23);
	await expect(send()).rejects.toMatchObject({ type: "IDEMPOTENCY_KEY_REUSED" });
	await age(25);
	const items = [item()];
	const results = await Promise.allSettled(Array.from({ length: 4 }, () => send(items)));
	const made = new Set(
		results.flatMap((result) => (result.status === "fulfilled" ? [result.value.id] : [])),
	);
	expect(made.size).toBe(1);
	expect(made).not.toContain(first.id);
	for (const result of results)
		if (result.status === "rejected")
			expect(result.reason).toMatchObject({ type: "IDEMPOTENCY_KEY_IN_USE" });
	expect(made).toContain((await send(items)).id);
});

test("prunes expired keys while the service runs", async () => {
	await orders.shop.databases.query(
		"orders",
		`insert into idempotency_keys (user_id, action, key, body_hash, created_at)
		select gen_random_uuid(), 'orders.create', 'to be pruned ' || n, '',
			now() - make_interval(hours => case when n = 0 then 23 else 25 end)
		from generate_series(0, 2500) n`,
	);
	// The poller does the same every minute.
	(orders.shop.broker.getLocalService("orders") as unknown as { $pruning: Poller }).$pruning.wake();
	await eventually(async () => {
		const rows = await orders.shop.databases.query(
			"orders",
			"select key from idempotency_keys where key like 'to be pruned %'",
		);
		expect(rows).toEqual([{ key: "to be pruned 0" }]);
	});
});
