import { setTimeout as after } from "node:timers/promises";
import { microBatch } from "../../lib/async/micro-batch.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { callerOf, implement, type Meta, throwError } from "../../lib/contracts/contract.ts";
import {
	errorResponse,
	findKeys,
	type KeyedRequest,
	type KeyedResponse,
	keyedRequest,
	storeResponses,
} from "../../lib/idempotency/idempotency.ts";
import { assertSequence, readEventHistory } from "../../lib/messaging/event-history.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import { approximateCount, pageOf } from "../../lib/persistence/approximate-count.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { batchBytesOf, maxPayloadOf } from "../../lib/resilience/message-size.ts";
import { createSagaRunner, type SagaOutcome } from "../../lib/saga/saga.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { createAudit } from "./audit/audit.ts";
import { orders } from "./orders.contract.ts";
import { createLookup } from "./orders.lookup.ts";
import { findEarlierOrder, replayOrder, settle } from "./orders.responses.ts";
import * as rules from "./orders.rules.ts";
import { followShipment } from "./orders.shipments.ts";
import * as statements from "./orders.statements.ts";
import { createOrderPlacement } from "./place-order.ts";
import { orderMetrics } from "./saga/metrics.ts";
import { bytesOf, type OrderSaga, orderSteps } from "./saga/steps.ts";
import * as store from "./saga/store.ts";
import { sagaTraces } from "./saga/traces.ts";
import * as timeline from "./timeline/timeline.ts";

/** How long a parcel that has left waits for its order to be free to say so. */
const NOTE_MS = 1000;
/** An order as its events tell of it. */
const factOf = ({ id, user_id, total_amount, currency }: rules.Order) => ({
	order_id: id,
	user_id,
	total_amount,
	currency,
});

/** An order that the caller may see, and how many runs have worked on it. */
async function visibleRow(
	db: Database,
	id: string,
	caller: NonNullable<Meta["user"]>,
): Promise<{ order: rules.Order; attempt: number }> {
	const found = await store.find(db, id);
	rules.assertVisible(found?.order, caller);
	return found!;
}
const visible = async (...which: Parameters<typeof visibleRow>): Promise<rules.Order> =>
	(await visibleRow(...which)).order;

export default implement(orders, database, durableEvents, idempotency).with({
	subscriptions: {
		"shipment.dispatched": followShipment("confirmed", "shipped"),
		"shipment.delivered": followShipment("shipped", "delivered"),
	},
	dependencies: ["users", "products", "inventory", "payments", "shipping"],

	setup() {
		const {
			EVENT_RETENTION_HOURS: retentionHours,
			LEASE_MS: leaseMs,
			ORDER_DEADLINE_MS: deadlineMs,
			ORDER_WAIT_MS: waitMs,
		} = envOf(this.broker);
		const call = callerOf(this);
		const tracer = tracingOf(this.broker)?.of(this.name);
		const owner = this.broker.nodeID;
		const traced = tracer
			? sagaTraces(tracer)
			: (_: OrderSaga, run: () => Promise<SagaOutcome>) => run();
		const metrics = orderMetrics(this.broker, this.db);
		const runner = createSagaRunner<OrderSaga>({
			steps: orderSteps(call),
			messages: { maxBytes: () => batchBytesOf(this.broker), bytesOf },
			store: store.orderStore({
				db: this.db,
				owner,
				leaseMs,
				deadlineMs,
				claimBytes: () => maxPayloadOf(this.broker),
				told: () => this.wakeRelay(),
				fact: (type, order, reason = "") =>
					type === "order.cancelled"
						? this.eventData(type, { ...factOf(order), reason })
						: this.eventData(type, factOf(order)),
			}),
			heartbeatMs: leaseMs / 4,
			around: (saga, run) => metrics.around(saga, () => traced(saga, run)),
			onError: (saga, where, error) =>
				this.logger.warn("A saga met trouble and goes on", { order_id: saga?.id, where, error }),
		});
		return {
			sagas: runner,
			metrics,
			auditing: createAudit({ db: this.db, call, retentionHours }),
			owner,
			deadlineMs,
			waitMs,
			place: createOrderPlacement({
				...createLookup(this.broker, call),
				deadlineMs,
				write: async (wanted) => {
					const written = await store.place(
						this.db,
						owner,
						wanted.map((one) => ({
							...one,
							fact: this.eventData("order.created", factOf(one.saga.order)),
						})),
					);
					this.wakeRelay();
					return written;
				},
				run(saga) {
					metrics.placed(saga);
					return runner.run(saga);
				},
			}),
			findKey: microBatch((requests: KeyedRequest[]) => findKeys(this.db, requests)),
			keepAnswer: microBatch((kept: KeyedResponse[]) => storeResponses(this.db, kept)),
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
			const user_id = rules.buyerOf(meta.user!, params.user_id);
			const request = keyedRequest(ctx);
			const earlier = request && (await findEarlierOrder(this.findKey, request, user_id));
			if (earlier) return replayOrder(this.db, meta, earlier);

			const placed = await this.place({
				...params,
				user_id,
				items: rules.mergeItems(params.items),
				traceparent: currentTraceparent(),
				request,
			});
			if (!placed) return replayOrder(this.db, meta, await this.findKey(request!));
			const { saga, running } = placed;
			if (meta.respond_async) {
				meta.$statusCode = 202;
				return saga.order;
			}
			const end = await settle(this.db, saga, running, this.waitMs);
			const failed = end && "reason" in end ? rules.cancelledError(saga.order, end) : undefined;
			if (request && end)
				await this.keepAnswer({
					request,
					...(failed ? errorResponse(failed) : { status: 201, body: saga.order }),
				});
			if (failed) throw failed;
			return saga.order;
		},

		async list({ params: { skip, limit, status, user_id }, meta }) {
			const mine = meta.user!.role === "admin" ? user_id : rules.buyerOf(meta.user!, user_id);
			const filters = { ...(mine ? { user_id: mine } : {}), ...(status ? { status } : {}) };
			const page = statements.page(Object.keys(filters) as ("user_id" | "status")[]);
			const [rows, total] = await Promise.all([
				this.db.query<rules.Order>(page.rows, [skip, limit, ...Object.values(filters)]),
				approximateCount(this.db, page.all, Object.values(filters)),
			]);
			return pageOf(rows, total, { skip, limit });
		},

		async get(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			const unknown = () => null;
			const [users, products] = await Promise.all([
				ctx.call("users.resolve", { ids: [order.user_id] }).catch(unknown),
				ctx
					.call("products.resolve", { ids: order.items.map(({ product_id }) => product_id) })
					.catch(unknown),
			]);
			const items = order.items.map((line, i) => ({ ...line, product: products?.[i] ?? null }));
			return { ...order, items, user: users?.[0] ?? null };
		},

		async cancel({ params: { id, reason = "Cancelled on request" }, meta }) {
			const order = await visible(this.db, id, meta.user!);
			rules.assertCanBecome(order.status, "cancelled");
			const saga = await store.beginCancellation(this.db, this.owner, id, reason, this.deadlineMs);
			if (!saga)
				throwError(
					orders,
					"ILLEGAL_TRANSITION",
					{ status: order.status },
					"Something else is happening to this order",
				);
			const end = await settle(this.db, saga, this.sagas.run(saga), this.waitMs);
			const { status } = saga.order;
			if (status === "cancelled") return saga.order;
			// Here or on a node that took it over, something was first that cannot be taken back.
			if (end && end.status !== "stuck")
				throwError(orders, "ILLEGAL_TRANSITION", { status }, "The order is already on its way");
			return saga.order;
		},

		async ship(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			rules.assertCanBecome(order.status, "shipped");
			const [outcome] = await ctx.call("shipping.dispatch", { orders: [{ order_id: order.id }] });
			if (outcome?.status !== "done")
				throwError(orders, "ILLEGAL_TRANSITION", {}, "The order is being cancelled");
			// A cancel that lost may not have let go of the order yet. At the latest the shipment's event notes it.
			for (const late = Date.now() + NOTE_MS; ; await after(50)) {
				await store.advance(this.db, [order.id], "confirmed", "shipped");
				this.wakeRelay();
				const now = await visible(this.db, order.id, ctx.meta.user!);
				if (now.status !== "confirmed" || Date.now() > late) return now;
			}
		},

		async deliver(ctx) {
			const order = await visible(this.db, ctx.params.id, ctx.meta.user!);
			rules.assertCanBecome(order.status, "delivered");
			const [outcome] = await ctx.call("shipping.deliver", { orders: [{ order_id: order.id }] });
			if (outcome?.status !== "done")
				throwError(orders, "ILLEGAL_TRANSITION", {}, "The parcel is not on its way");
			await store.advance(this.db, [order.id], "shipped", "delivered");
			this.wakeRelay();
			return visible(this.db, order.id, ctx.meta.user!);
		},

		async stuck({ params: { limit } }) {
			return store.stuck(this.db, limit);
		},

		/** Whichever node looks next for sagas that are nobody's takes it, within a second. */
		async retry({ params: { id } }) {
			const found = await store.find(this.db, id);
			if (!found) throwError(orders, "ORDER_NOT_FOUND");
			if (!(await store.retry(this.db, id)))
				throwError(orders, "ILLEGAL_TRANSITION", {}, "The order is not stuck");
			return found.order;
		},

		async fates({ params: { order_ids } }) {
			return store.outcomesOf(this.db, order_ids);
		},

		async audit({ params }) {
			const found = await this.auditing.audit(params);
			this.metrics.violated(found.violations.length);
			return found;
		},

		async timeline(ctx) {
			return timeline.collectTimeline(
				ctx.call.bind(ctx),
				this.db,
				await visibleRow(this.db, ctx.params.id, ctx.meta.user!),
			);
		},

		async events({ params: { id, after }, meta }) {
			if (after) assertSequence("after", after);
			const order = await visible(this.db, id, meta.user!);
			const facts = await readEventHistory(this.db, id, after);
			return {
				events: facts.map(timeline.toStreamEvent),
				ended: rules.transitions[order.status].length === 0,
			};
		},

		async versions({ params: { ids } }) {
			const rows = await this.db.query<{ id: string; version: string }>(statements.VERSIONS, [ids]);
			const found = new Map(rows.map(({ id, version }) => [id, version]));
			return ids.map((id) => found.get(id) ?? null);
		},
	},
});
