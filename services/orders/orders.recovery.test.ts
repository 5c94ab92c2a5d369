import { describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { done, type Outcome, refused } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { customer } from "../../test/support/order-shop.ts";
import { admin } from "../../test/support/shop.ts";
import { as, item, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps, place } = orders;

test("claims and completes the open order of a failed node", async () => {
	const { id } = await place();
	await orders.shop.databases.query(
		"orders",
		`update orders set status = 'pending', saga_state = 'forward', saga_owner = 'gone'
		where id = $1`,
		[id],
	);
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
	expect(steps.of(id).filter((step) => step === "charge")).toHaveLength(2);
});

const changeRow = (id: string, change: string) =>
	orders.shop.databases.query("orders", `update orders set ${change} where id = $1`, [id]);

test("completes an order of this node whose saga was not started", async () => {
	const { id } = await place();
	const owner = orders.shop.broker.nodeID;
	await changeRow(
		id,
		`status = 'pending', saga_state = 'forward', saga_owner = '${owner}',
		saga_since = now() - interval '1 hour'`,
	);
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
});

test("cancelling a stuck order resumes its compensation with the first reason", async () => {
	const { id } = await place();
	await changeRow(id, "saga_state = 'stuck', saga_owner = null, saga_reason = 'PAYMENT_DECLINED'");
	expect(
		await orders.shop.call("orders.cancel", { id, reason: "Again" }, as(customer)),
	).toMatchObject({
		status: "cancelled",
		cancellation_reason: "PAYMENT_DECLINED",
	});
});

test("rejects a cancellation that another node has aborted", async () => {
	const { id } = await place();
	steps.release = async () => {
		await changeRow(id, "saga_state = null, saga_owner = null, saga_attempt = saga_attempt + 1");
		return done;
	};
	const cancelling = orders.shop.call("orders.cancel", { id }, as(customer));
	await expect(cancelling).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
		data: { status: "confirmed" },
	});
});

describe("an order that is stuck after a refusal is pending until it is cancelled", () => {
	const declined = { code: 402, type: "PAYMENT_DECLINED" };
	/** Places an order whose compensation fails, and repeats the call before and after a retry. */
	async function getStuck(call: () => Promise<{ id: string; status: string }>) {
		steps.charge = () => refused("PAYMENT_DECLINED");
		steps.release = () => refused("FULFILLED");
		const { id, status } = await call();
		expect(status).toBe("pending");
		expect(await orders.shop.call("orders.outcomes", { order_ids: [id] })).toEqual(["open"]);
		return {
			id,
			async retry() {
				steps.release = () => done;
				await orders.shop.call("orders.retry", { id });
				await eventually(async () =>
					expect(await orders.shop.call("orders.outcomes", { order_ids: [id] })).toEqual([
						"cancelled",
					]),
				);
			},
		};
	}

	test("without a stored response", async () => {
		const items = [item()];
		const meta = { user: customer, idempotency_key: uuid() };
		const create = () => orders.shop.call("orders.create", { items }, { meta: { ...meta } });
		const { id, retry } = await getStuck(create);
		await expect(create()).rejects.toMatchObject({
			type: "IDEMPOTENCY_KEY_IN_USE",
			data: { order_id: id },
		});
		await retry();
		await expect(create()).rejects.toMatchObject({ ...declined, data: { order_id: id } });
	});

	test("for the cart that requests it", async () => {
		const order_id = uuid();
		const placeAgain = () => orders.placePriced({ order_id });
		const { retry } = await getStuck(placeAgain);
		await retry();
		await expect(placeAgain()).rejects.toMatchObject({ ...declined, data: { order_id } });
	});
});

test("lists an order whose compensation failed as stuck, and cancels it on retry", async () => {
	const { id } = await place();
	steps.release = () => refused("FULFILLED");
	await orders.shop.call("orders.cancel", { id }, as(customer));
	const listed = await orders.shop.call("orders.stuck", {});
	expect(listed.rows).toContainEqual({
		id,
		user_id: customer.id,
		status: "confirmed",
		reason: "Cancelled on request",
		created_at: expect.any(String),
	});
	expect(listed.count).toBe(listed.rows.length);
	expect(await orders.shop.call("orders.outcomes", { order_ids: [id] })).toEqual(["open"]);

	steps.release = () => done;
	expect(await orders.shop.call("orders.retry", { id })).toMatchObject({ id });
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "cancelled",
		}),
	);
	expect((await orders.shop.call("orders.stuck", {})).rows.map((row) => row.id)).not.toContain(id);
	await expect(orders.shop.call("orders.retry", { id })).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	await expect(orders.shop.call("orders.retry", { id: uuid() })).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
});

test("administrators list and retry stuck orders over the API", async () => {
	const { id } = await place();
	steps.release = () => refused("FULFILLED");
	await orders.shop.call("orders.cancel", { id }, as(customer));
	const list = (user: object, limit = 100) =>
		orders.shop.call("orders.listStuck", { limit }, as(user));
	expect(await list(admin!)).toEqual(await orders.shop.call("orders.stuck", {}));
	expect((await list(admin!, 1)).rows).toHaveLength(1);
	await expect(list(customer)).rejects.toMatchObject({ type: "FORBIDDEN" });
	const retry = (user: object) => orders.shop.call("orders.retryStuck", { id }, as(user));
	await expect(retry(customer)).rejects.toMatchObject({ type: "FORBIDDEN" });

	steps.release = () => done;
	expect(await retry(admin!)).toMatchObject({ id });
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "cancelled",
		}),
	);
	await expect(retry(admin!)).rejects.toMatchObject({ type: "ILLEGAL_TRANSITION" });
});

test("reports the outcome of each order: open, confirmed, cancelled or unknown", async () => {
	const { id: confirmed } = await place();
	const { id: shipped } = await place();
	await orders.shop.call("orders.ship", { id: shipped }, as(admin!));
	const { id: cancelled } = await place();
	await orders.shop.call("orders.cancel", { id: cancelled }, as(customer));
	const charged = Promise.withResolvers<Outcome>();
	steps.charge = () => charged.promise;
	const { id: open } = await orders.shop.call(
		"orders.create",
		{ items: [item()] },
		{ meta: { user: customer, respond_async: true } },
	);
	const outcomes = await orders.shop.call("orders.outcomes", {
		order_ids: [open, confirmed, uuid(), shipped, cancelled],
	});
	expect(outcomes).toEqual(["open", "confirmed", "unknown", "confirmed", "cancelled"]);
	charged.resolve(done);
});
