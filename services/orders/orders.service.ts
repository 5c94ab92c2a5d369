import { setTimeout as after } from "node:timers/promises";
import { v7 as uuid } from "uuid";
import { batch } from "../../lib/batch.ts";
import { type Call, implement, type Meta, raise } from "../../lib/contract.ts";
import type { Database, Queryable } from "../../lib/database.ts";
import { envOf } from "../../lib/env.ts";
import { answerOf, type Earlier, findKey, keepAnswer, keepFailure, keyedRequest, replay } from "../../lib/idempotency.ts";
import { type End, sagas } from "../../lib/saga.ts";
import { database } from "../../mixins/db.mixin.ts";
import { events } from "../../mixins/events.mixin.ts";
import type {} from "../products/products.contract.ts";
import type {} from "../users/users.contract.ts";
import { orders } from "./orders.contract.ts";
import * as rules from "./orders.rules.ts";
import { type OrderSaga, orderSteps } from "./orders.saga.ts";
import * as statements from "./orders.statements.ts";
import * as store from "./orders.store.ts";

/** An order as its events tell of it. */
const factOf = ({ id, user_id, total_amount, currency }: rules.Order) => ({ order_id: id, user_id, total_amount, currency });

/** An order that the caller may see. */
async function visible(db: Database, id: string, caller: { id: string; role: "user" | "admin" }): Promise<rules.Order> {
	const found = await store.find(db, id);
	rules.assertVisible(found?.order, caller);
	return found!.order;
}

/** A new order at the start of its saga. */
function newSaga(
	user_id: string,
	priced: Pick<rules.Order, "items" | "total_amount" | "currency">,
	wishes: { payment_token: string; shipping_address?: string },
	deadlineMs: number,
): OrderSaga {
	const now = new Date();
	const [id, created_at] = [uuid(), now.toISOString()];
	return {
		id,
		direction: "forward",
		attempt: 1,
		deadline: now.getTime() + deadlineMs,
		order: { id, user_id, status: "pending", ...priced, cancellation_reason: null, created_at, updated_at: created_at },
		payment_token: wishes.payment_token,
		shipping_address: wishes.shipping_address ?? null,
	};
}

/** Answers as the request did that came first under the same key; where its answer was lost in a crash, the order tells. */
async function replayOrder(db: Database, meta: Meta, earlier: Earlier | undefined): Promise<rules.Order> {
	if (earlier && earlier.status === null && earlier.subject) {
		const found = await store.find(db, earlier.subject);
		if (found && !found.state) {
			const { order } = found;
			const answer =
				order.status === "cancelled"
					? answerOf(rules.cancelledError(order.id, order.cancellation_reason ?? ""))
					: { status: 201, answer: order };
			return replay(meta, { subject: order.id, ...answer });
		}
	}
	return replay(meta, earlier ?? { subject: null, status: null, answer: null });
}

/**
 * How an order's saga ends, if it does within `milliseconds`. Where its run was lost the order's row tells, and what is still `lost` is then
 * an order that was not cancelled. `saga.order` is up to date in every case.
 */
async function settle(db: Database, saga: OrderSaga, running: Promise<End>, milliseconds: number): Promise<End | undefined> {
	const late = Date.now() + milliseconds;
	const end = await Promise.race([running, after(milliseconds, undefined, { ref: false })]);
	if (end?.status !== "lost") return end;
	while (Date.now() < late) {
		const found = await store.find(db, saga.id);
		Object.assign(saga.order, found?.order);
		if (!found?.state) return saga.order.status === "cancelled" ? { status: "closed", reason: saga.order.cancellation_reason ?? "" } : end;
		await after(50);
	}
	return undefined;
}

/** The status follows what happened to the parcel, also where whoever asked for it did not live to note it. */
function followShipment(from: rules.Status, to: rules.Status) {
	return async (tx: Queryable, found: readonly { subject: string }[]) => {
		const ids = found.map(({ subject }) => subject);
		await store.advance(tx, ids, from, to);
		const waiting = await store.busy(tx, ids, from);
		if (waiting.length > 0) throw new Error(`Sagas are still working on ${waiting.map(({ id }) => id)}`);
	};
}

export default implement(
	orders,
	database,
	events(orders, {
		"shipment.dispatched": followShipment("confirmed", "shipped"),
		"shipment.delivered": followShipment("shipped", "delivered"),
	}),
).with({
	dependencies: ["users", "products", "inventory", "payments", "shipping"],

	setup() {
		const { LEASE_MS: leaseMs, ORDER_DEADLINE_MS: deadlineMs, ORDER_WAIT_MS: waitMs } = envOf(this.broker);
		const call = this.broker.call.bind(this.broker) as Call;
		const owner = this.broker.nodeID;
		const runner = sagas<OrderSaga>({
			steps: orderSteps(call),
			store: store.orderStore({
				db: this.db,
				owner,
				leaseMs,
				deadlineMs,
				told: () => this.wakeRelay(),
				fact: (type, order, reason = "") =>
					type === "order.cancelled" ? this.fact(type, { ...factOf(order), reason }) : this.fact(type, factOf(order)),
			}),
			beatEvery: leaseMs / 4,
			onTrouble: (saga, where, error) => this.logger.warn("A saga met trouble and goes on", { order_id: saga?.id, where, error }),
		});
		return {
			sagas: runner,
			owner,
			deadlineMs,
			waitMs,
			place: batch(async (placing: store.NewOrder[]) => {
				const placed = await store.place(this.db, owner, placing);
				this.wakeRelay();
				return placed;
			}),
			findUser: batch((ids: string[]) => call("users.resolve", { ids })),
			findProducts: batch(async (lists: string[][]) => {
				const found = await call("products.resolve", { ids: lists.flat() });
				return lists.map((ids) => found.splice(0, ids.length));
			}),
		};
	},
	ready() {
		return this.sagas.start();
	},
	stop() {
		return this.sagas.stop();
	},

	actions: {
		async create(ctx) {
			const { params, meta } = ctx;
			const request = keyedRequest(ctx);
			const earlier = request && (await findKey(this.db, request));
			if (earlier) return replayOrder(this.db, meta, earlier);

			const user_id = rules.buyer(meta.user!, params.user_id);
			const wanted = rules.mergeItems(params.items);
			const ids = wanted.map(({ product_id }) => product_id);
			const [user, catalogue] = await Promise.all([this.findUser(user_id), this.findProducts(ids)]);
			if (!user?.is_active) raise(orders, "USER_NOT_FOUND");

			const saga = newSaga(user_id, rules.priceItems(wanted, catalogue), params, this.deadlineMs);
			const fact = this.fact("order.created", factOf(saga.order));
			if (!(await this.place({ saga, fact, request }))) return replayOrder(this.db, meta, await findKey(this.db, request!));
			const running = this.sagas.run(saga);
			if (meta.respond_async) {
				meta.$statusCode = 202;
				return saga.order;
			}
			const end = await settle(this.db, saga, running, this.waitMs);
			const failed =
				end && "reason" in end ? rules.cancelledError(saga.id, end.reason, "detail" in end ? end.detail : undefined) : undefined;
			if (request && failed) await keepFailure(this.db, request, failed);
			else if (request && end) await keepAnswer(this.db, request, 201, saga.order);
			if (failed) throw failed;
			return saga.order;
		},

		async list({ params: { skip, limit, status, user_id }, meta }) {
			const mine = meta.user!.role === "admin" ? user_id : rules.buyer(meta.user!, user_id);
			const filters = { ...(mine ? { user_id: mine } : {}), ...(status ? { status } : {}) };
			const page = statements.page(Object.keys(filters) as ("user_id" | "status")[]);
			const [rows, [count]] = await Promise.all([
				this.db.query<rules.Order>(page.rows, [skip, limit, ...Object.values(filters)]),
				this.db.query<{ total: number }>(page.total, Object.values(filters)),
			]);
			return { rows, total: count!.total };
		},

		async get(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			const unknown = () => null;
			const [users, products] = await Promise.all([
				ctx.call("users.resolve", { ids: [order.user_id] }).catch(unknown),
				ctx.call("products.resolve", { ids: order.items.map(({ product_id }) => product_id) }).catch(unknown),
			]);
			const items = order.items.map((line, i) => ({ ...line, product: products?.[i] ?? null }));
			return { ...order, items, user: users?.[0] ?? null };
		},

		async cancel({ params: { id, reason = "Cancelled on request" }, meta }) {
			const order = await visible(this.db, id, meta.user!);
			rules.assertCanBecome(order.status, "cancelled");
			const saga = await store.takeBack(this.db, this.owner, id, reason, this.deadlineMs);
			if (!saga) raise(orders, "ILLEGAL_TRANSITION", { status: order.status }, "Something else is happening to this order");
			const end = await settle(this.db, saga, this.sagas.run(saga), this.waitMs);
			if (end?.status === "aborted" || end?.status === "lost")
				raise(orders, "ILLEGAL_TRANSITION", { status: saga.order.status }, "The order is already on its way");
			return saga.order;
		},

		async ship(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			rules.assertCanBecome(order.status, "shipped");
			const [outcome] = await ctx.call("shipping.dispatch", { orders: [{ order_id: order.id }] });
			if (outcome?.status !== "done") raise(orders, "ILLEGAL_TRANSITION", {}, "The order is being cancelled");
			await store.advance(this.db, [order.id], "confirmed", "shipped");
			this.wakeRelay();
			return visible(this.db, order.id, ctx.meta.user!);
		},

		async deliver(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			rules.assertCanBecome(order.status, "delivered");
			await ctx.call("shipping.deliver", { orders: [{ order_id: order.id }] });
			await store.advance(this.db, [order.id], "shipped", "delivered");
			this.wakeRelay();
			return visible(this.db, order.id, ctx.meta.user!);
		},
	},
});
