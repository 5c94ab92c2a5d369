import { setTimeout as delay } from "node:timers/promises";
import { type Poller, pollerGroup } from "../../lib/async/poller.ts";
import { callerOf, contractError } from "../../lib/contracts/contract.ts";
import { assertSequence, readEventHistory } from "../../lib/messaging/event-history.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import { batchBytesOf, maxPayloadOf } from "../../lib/resilience/message-size.ts";
import { createSagaRunner } from "../../lib/saga/runner.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { createAudit } from "./audit/audit.ts";
import { createAuditRuns } from "./audit/runs.ts";
import { orders } from "./orders.contract.ts";
import { listOrders } from "./orders.list.ts";
import { createLookup } from "./orders.lookup.ts";
import { createOrderPlacement } from "./orders.placement.ts";
import { breakdownOf } from "./orders.prices.rules.ts";
import { createOrderPricing } from "./orders.pricing.ts";
import * as queries from "./orders.queries.ts";
import { createRefunds, failRefunds } from "./orders.refunds.ts";
import { createResponseStore, settle } from "./orders.responses.ts";
import * as rules from "./orders.rules.ts";
import { advance, followShipment } from "./orders.shipments.ts";
import { periodsOf } from "./orders.statistics.rules.ts";
import { createStatistics } from "./orders.statistics.ts";
import { placeOrder, placePricedOrder } from "./place-order.ts";
import { pruneFailures } from "./saga/failures.ts";
import { orderMetrics } from "./saga/metrics.ts";
import { bytesOf, type OrderSaga, orderSteps } from "./saga/steps.ts";
import { createOrderStore, type WrittenOrder } from "./saga/store.ts";
import { sagaTraces } from "./saga/traces.ts";
import { collectTimeline, toStreamEvent, visibleEvent } from "./timeline/timeline.ts";

/** Maximum wait of `ship` for a saga that still holds the order, in milliseconds. */
const MAX_ADVANCE_WAIT_MS = 1000;
/** Milliseconds between two searches for refunds whose outcome is unknown. */
const REFUND_INTERVAL_MS = 5000;
/** Milliseconds between two searches for an audit that another node has started or left. */
const AUDIT_INTERVAL_MS = 5000;
const PRUNE_INTERVAL_MS = 3_600_000;

export default defineService(orders)({
	mixins: [database, durableEvents, idempotency],
	// Without promotions, orders that use none can still be placed.
	dependencies: ["users", "products", "inventory", "payments", "shipping", "tax"],

	created() {
		const { broker, db } = this;
		const env = envOf(broker);
		const deadlineMs = env.ORDER_DEADLINE_MS;
		const call = callerOf(this);
		const metrics = orderMetrics(broker, db);
		const store = createOrderStore({
			db,
			events: this,
			owner: broker.nodeID,
			leaseMs: env.LEASE_MS,
			deadlineMs,
			claimBytes: () => maxPayloadOf(broker),
		});
		const tracer = tracingOf(broker)?.of(this.name);
		const trace = tracer && sagaTraces(tracer);
		const sagas = createSagaRunner<OrderSaga, WrittenOrder>({
			steps: orderSteps(call),
			messages: { maxBytes: () => batchBytesOf(broker), bytesOf },
			store,
			heartbeatMs: env.LEASE_MS / 4,
			around: (saga, run) => metrics.measure(saga, () => (trace ? trace(saga, run) : run(saga))),
			onError: (saga, step, error) =>
				this.logger.warn("Saga step failed; will retry", { order_id: saga?.id, step, error }),
		});
		const auditor = createAudit({ db, call, retentionHours: env.EVENT_RETENTION_HOURS });
		const lookup = createLookup(broker, call);
		const pricing = createOrderPricing({
			...{ broker, call, db, rounding: env.ROUNDING },
			requireAddress: env.REQUIRE_ADDRESS,
		});
		return {
			store,
			sagas,
			metrics,
			responses: createResponseStore(db),
			placeTogether: createOrderPlacement({
				...{ lookup, pricing, store, sagas, metrics, deadlineMs },
				reservationMs: env.RESERVATION_SECONDS * 1000,
			}),
			statistics: createStatistics(db, broker),
			refunds: createRefunds({ db, call, logger: this.logger }),
			auditor,
			audits: createAuditRuns({
				db,
				auditor,
				logger: this.logger,
				countViolations: metrics.countViolations,
			}),
			auditPoller: undefined as Poller | undefined,
			pollers: pollerGroup(),
			waitMs: env.ORDER_WAIT_MS,
			retentionHours: env.EVENT_RETENTION_HOURS,
			/** Secrets from which the tokens of guests' orders may have been derived. */
			tokenSecrets: [env.JWT_SECRET, env.JWT_SECRET_PREVIOUS].filter((one) => one !== undefined),
		};
	},

	async started() {
		await this.sagas.start();
		const warn = (message: string) => (error: unknown) => this.logger.warn(message, { error });
		this.auditPoller = this.pollers.start({
			intervalMs: AUDIT_INTERVAL_MS,
			poll: () => this.audits.poll(),
			onError: warn("The running audit could not be read; will retry"),
		});
		this.pollers.start({
			intervalMs: PRUNE_INTERVAL_MS,
			poll: () => this.audits.prune(),
			onError: warn("Old audits could not be deleted; will retry"),
		});
		this.pollers.start({
			intervalMs: PRUNE_INTERVAL_MS,
			poll: () => pruneFailures(this.db, this.retentionHours),
			onError: warn("Old failures of steps could not be deleted; will retry"),
		});
		this.pollers.start({
			intervalMs: REFUND_INTERVAL_MS,
			poll: () => this.refunds.settleDue(),
			onError: warn("Refunds could not be requested; will retry"),
		});
	},

	async stopped() {
		await this.pollers.stop();
		await this.sagas.stop();
	},

	actions: {
		async create(ctx) {
			return placeOrder(this, ctx);
		},

		async place({ params }) {
			return placePricedOrder(this, params);
		},

		async summaries({ params: { ids } }) {
			return queries.summaries(this.db, ids);
		},

		async findByEmail({ params: { email, limit } }) {
			return queries.findByEmail(this.db, email, limit);
		},

		async haveOrdered({ params: { customers } }) {
			return queries.haveOrdered(this.db, customers);
		},

		list(ctx) {
			return listOrders(this.db, ctx);
		},

		async get(ctx) {
			const { id } = ctx.params;
			const { order, priced, refunds } = await queries.readableRecord(
				this.db,
				id,
				ctx.meta,
				this.tokenSecrets,
			);
			const unavailable = () => null;
			const product_ids = order.items.map(({ product_id }) => product_id);
			const [users, products] = await Promise.all([
				order.user_id === null
					? null
					: ctx.call("users.resolve", { ids: [order.user_id] }).catch(unavailable),
				ctx
					.call("products.resolve", { ids: product_ids, include_removed: true })
					.catch(unavailable),
			]);
			const items = order.items.map((line, i) => ({ ...line, product: products?.[i] ?? null }));
			const user = users?.[0] ?? null;
			return { ...order, ...breakdownOf(priced), items, refunds, user };
		},

		async cancel({ params: { id, reason = "Cancelled on request" }, meta }) {
			const { status } = await queries.visibleOrder(this.db, id, meta.user!);
			rules.assertCanBecome(status, "cancelled");
			const saga = await this.store.beginCancellation(id, reason);
			if (!saga) throw illegal("Another change of this order is in progress", status);

			const { order, outcome } = await settle(this.db, saga, this.sagas.run(saga), this.waitMs);
			if (order.status === "cancelled") return order;
			// The saga, on this or another node, could not be compensated: the shipment has left.
			if (outcome && outcome.status !== "stuck")
				throw illegal("The order has already been shipped", order.status);
			return order;
		},

		async ship(ctx) {
			const { id } = ctx.params;
			const { status } = await queries.visibleOrder(this.db, id, ctx.meta.user!);
			rules.assertCanBecome(status, "shipped");
			const [dispatched] = await ctx.call("shipping.dispatch", { orders: [{ order_id: id }] });
			if (dispatched?.status !== "done") throw illegal("The order is being cancelled");
			// The saga of a cancellation that came too late may still hold the order. After the
			// deadline, the shipment's event moves the order to its status.
			for (const deadline = Date.now() + MAX_ADVANCE_WAIT_MS; ; await delay(50)) {
				await advance(this.db, [id], "confirmed", "shipped");
				this.wakeRelay();
				const order = await queries.visibleOrder(this.db, id, ctx.meta.user!);
				if (order.status !== "confirmed" || Date.now() > deadline) return order;
			}
		},

		async deliver(ctx) {
			const { id } = ctx.params;
			const { status } = await queries.visibleOrder(this.db, id, ctx.meta.user!);
			rules.assertCanBecome(status, "delivered");
			const [delivered] = await ctx.call("shipping.deliver", { orders: [{ order_id: id }] });
			if (delivered?.status !== "done") throw illegal("The shipment is not in transit");
			await advance(this.db, [id], "shipped", "delivered");
			this.wakeRelay();
			return queries.visibleOrder(this.db, id, ctx.meta.user!);
		},

		async refund(ctx) {
			return this.refunds.refund(ctx);
		},

		async stuck({ params: { limit } }) {
			return queries.stuckOrders(this.db, limit);
		},

		async retry({ params: { id } }) {
			return queries.retryOrder(this.db, id);
		},

		statistics({ params }) {
			return this.statistics(periodsOf(params, new Date()));
		},

		async listStuck({ params: { limit } }) {
			return queries.stuckOrders(this.db, limit);
		},

		async retryStuck({ params: { id } }) {
			return queries.retryOrder(this.db, id);
		},

		async startAudit({ params: { since }, meta }) {
			const started = await this.audits.start(meta.user!.id, since);
			this.auditPoller?.wake();
			return started;
		},

		listAudits({ params }) {
			return this.audits.list(params);
		},

		getAudit({ params: { id } }) {
			return this.audits.get(id);
		},

		async outcomes({ params: { order_ids } }) {
			return queries.outcomesOf(this.db, order_ids);
		},

		async audit({ params }) {
			const page = await this.auditor.audit(params);
			this.metrics.countViolations(page.violations.length);
			return page;
		},

		async timeline(ctx) {
			const { id } = ctx.params;
			const record = await queries.readableRecord(this.db, id, ctx.meta, this.tokenSecrets);
			return collectTimeline(ctx.call.bind(ctx), this.db, record, ctx.meta.user);
		},

		async events({ params: { id, after }, meta }) {
			if (after) assertSequence("after", after);
			const { order } = await queries.readableRecord(this.db, id, meta, this.tokenSecrets);
			const history = await readEventHistory(this.db, id, after);
			const visible = history.map((event) => visibleEvent(event, order, meta.user));
			return {
				events: visible.map(toStreamEvent),
				ended: rules.transitions[order.status].length === 0,
			};
		},

		async versions({ params: { ids } }) {
			return queries.versionsOf(this.db, ids);
		},
	},

	subscriptions: {
		async "payment.updated"(tx, events) {
			await this.store.resume(tx, [...new Set(events.map(({ subject }) => subject))]);
			tx.handle.afterCommit(() => this.sagas.wake());
		},
		/** The provider could not pay a refund that it had accepted. */
		async "payment.refund_failed"(tx, events) {
			await failRefunds(tx, events);
		},
		/** A guest who proves the address of earlier orders with an account owns them. */
		async "user.email_verified"(tx, events) {
			await queries.joinGuestOrders(tx, events);
		},
		"shipment.dispatched": followShipment("confirmed", "shipped"),
		"shipment.delivered": followShipment("shipped", "delivered"),
	},
});

const illegal = (message: string, status?: rules.Status) =>
	contractError(orders, "ILLEGAL_TRANSITION", status ? { status } : {}, message);
