import type { ServiceBroker } from "moleculer";
import {
	type Histogram,
	type Metric,
	metricsOf,
} from "../../../lib/observability/metrics/registry.ts";
import type { Database } from "../../../lib/persistence/database.ts";
import type { SagaOutcome } from "../../../lib/saga/saga.ts";
import { SAGA_FIGURES } from "../orders.statements.ts";
import type { OrderSaga } from "./steps.ts";

/** What only orders have to tell. */
export const metrics = {
	placed: {
		name: "shop_orders_placed_total",
		type: "counter",
		help: "Orders that were placed",
		labels: ["currency"],
	},
	confirmed: {
		name: "shop_orders_confirmed_total",
		type: "counter",
		help: "Orders that were confirmed",
		labels: ["currency"],
	},
	cancelled: {
		name: "shop_orders_cancelled_total",
		type: "counter",
		help: "Orders that were cancelled: the code of the step that refused, or REQUESTED",
		labels: ["currency", "reason"],
	},
	revenue: {
		name: "shop_revenue_total",
		type: "counter",
		help: "Totals of the orders that were confirmed",
		labels: ["currency"],
	},
	refunded: {
		name: "shop_revenue_cancelled_total",
		type: "counter",
		help: "Totals of the orders that were cancelled after they had been confirmed",
		labels: ["currency"],
	},
	sagaSeconds: {
		name: "shop_saga_duration_seconds",
		type: "histogram",
		help: "Time that a run of an order's saga took: completed, closed (all undone), aborted, stuck, or lost to another node",
		labels: ["outcome"],
		buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
	},
	sagasOpen: {
		name: "shop_sagas_open",
		type: "gauge",
		help: "Orders that a saga works on, on whichever node",
	},
	sagasStuck: {
		name: "shop_sagas_stuck",
		type: "gauge",
		help: "Orders that could not be taken back and wait for somebody",
	},
	sagaOldest: {
		name: "shop_saga_oldest_seconds",
		type: "gauge",
		help: "How long the oldest order that a saga works on has been worked on",
	},
	violations: {
		name: "shop_audit_violations_total",
		type: "counter",
		help: "What audits on this node have found not to fit together",
	},
} as const satisfies Record<string, Metric>;

/** Reasons that steps give. Everything else was written by whoever cancelled, and there is no end to what people write. */
const CODES = new Set(["OUT_OF_STOCK", "PAYMENT_DECLINED", "UNDELIVERABLE", "TIMED_OUT"]);
const OUTCOMES = [
	"completed",
	"closed",
	"aborted",
	"stuck",
	"lost",
] as const satisfies SagaOutcome["status"][];

/** Counts what becomes of the orders that this node works on. */
export function orderMetrics(broker: ServiceBroker, db: Database) {
	const all = metricsOf(broker);
	const seconds = Object.fromEntries(
		OUTCOMES.map((outcome) => [outcome, all.histogram(metrics.sagaSeconds, outcome)]),
	) as Record<SagaOutcome["status"], Histogram>;
	const violations = all.counter(metrics.violations);
	all.collect(async (tell) => {
		const [figures] = await db.query<{ open: number; stuck: number; oldest: number }>(SAGA_FIGURES);
		tell(metrics.sagasOpen, figures!.open);
		tell(metrics.sagasStuck, figures!.stuck);
		tell(metrics.sagaOldest, figures!.oldest);
	});
	return {
		placed({ order: { currency } }: OrderSaga): void {
			all.counter(metrics.placed, currency).add();
			// Told as 0 until the first one is: nothing at all could not be compared.
			for (const metric of [metrics.confirmed, metrics.revenue, metrics.refunded])
				all.counter(metric, currency);
		},
		/** Counts how a run ends. */
		async around({ order }: OrderSaga, run: () => Promise<SagaOutcome>): Promise<SagaOutcome> {
			// What is so now: the run writes what becomes of the order into it.
			const { currency, total_amount, status } = order;
			const begun = performance.now();
			const end = await run();
			seconds[end.status].observe((performance.now() - begun) / 1000);
			if (end.status === "completed") {
				all.counter(metrics.confirmed, currency).add();
				all.counter(metrics.revenue, currency).add(total_amount);
			}
			if (end.status !== "closed") return end;
			all
				.counter(metrics.cancelled, currency, CODES.has(end.reason) ? end.reason : "REQUESTED")
				.add();
			if (status === "confirmed") all.counter(metrics.refunded, currency).add(total_amount);
			return end;
		},
		violated(count: number): void {
			violations.add(count);
		},
	};
}
