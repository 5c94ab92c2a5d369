import type { ServiceBroker } from "moleculer";
import {
	type Histogram,
	type Metric,
	metricsOf,
} from "../../../lib/observability/metrics/registry.ts";
import type { Database } from "../../../lib/persistence/database.ts";
import { SAGA_FIGURES } from "../orders.statements.ts";
import type { OrderSaga } from "./steps.ts";
import type { OrderSagaOutcome } from "./store.ts";

/** Metrics that only this service has. */
export const metrics = {
	placed: {
		name: "shop_orders_placed_total",
		type: "counter",
		help: "Orders placed",
		labels: ["currency"],
	},
	confirmed: {
		name: "shop_orders_confirmed_total",
		type: "counter",
		help: "Orders confirmed",
		labels: ["currency"],
	},
	cancelled: {
		name: "shop_orders_cancelled_total",
		type: "counter",
		help: "Orders cancelled, by the code of the step that refused, or REQUESTED",
		labels: ["currency", "reason"],
	},
	revenue: {
		name: "shop_revenue_total",
		type: "counter",
		help: "Sum of the totals of confirmed orders",
		labels: ["currency"],
	},
	refunded: {
		name: "shop_revenue_cancelled_total",
		type: "counter",
		help: "Sum of the totals of orders that were cancelled after their confirmation",
		labels: ["currency"],
	},
	sagaSeconds: {
		name: "shop_saga_duration_seconds",
		type: "histogram",
		help: "Duration of saga runs: completed, waiting, closed (compensated), aborted, stuck, lost",
		labels: ["outcome"],
		buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
	},
	sagasOpen: {
		name: "shop_sagas_open",
		type: "gauge",
		help: "Open sagas, on all nodes",
	},
	sagasWaiting: {
		name: "shop_sagas_waiting",
		type: "gauge",
		help: "Orders whose saga is parked until their payment is decided",
	},
	sagasStuck: {
		name: "shop_sagas_stuck",
		type: "gauge",
		help: "Orders whose compensation failed repeatedly and requires an operator",
	},
	sagaOldest: {
		name: "shop_saga_oldest_seconds",
		type: "gauge",
		help: "Time since the oldest open saga was started or taken over",
	},
	violations: {
		name: "shop_audit_violations_total",
		type: "counter",
		help: "Violations found by audits on this node",
	},
} as const satisfies Record<string, Metric>;

/**
 * Codes of steps. Other reasons are free text and would make the number of label values unbounded.
 */
const CODES = new Set([
	"OUT_OF_STOCK",
	"COUPON_USED_UP",
	"PAYMENT_DECLINED",
	"PAYMENT_EXPIRED",
	"UNDELIVERABLE",
	"TIMED_OUT",
]);
type Figure = "open" | "waiting" | "stuck" | "oldest";
type OutcomeStatus = OrderSagaOutcome["status"];
const OUTCOMES = [
	"completed",
	"waiting",
	"closed",
	"aborted",
	"stuck",
	"lost",
] as const satisfies OutcomeStatus[];

/** Counts the orders that this node places, and the sagas that it runs. */
export function orderMetrics(broker: ServiceBroker, db: Database) {
	const all = metricsOf(broker);
	const seconds = Object.fromEntries(
		OUTCOMES.map((outcome) => [outcome, all.histogram(metrics.sagaSeconds, outcome)]),
	) as Record<OutcomeStatus, Histogram>;
	const violations = all.counter(metrics.violations);
	all.collect(async (report) => {
		const [figures] = await db.query<Record<Figure, number>>(SAGA_FIGURES);
		report(metrics.sagasOpen, figures!.open);
		report(metrics.sagasWaiting, figures!.waiting);
		report(metrics.sagasStuck, figures!.stuck);
		report(metrics.sagaOldest, figures!.oldest);
	});

	function countOutcome({ order }: OrderSaga, outcome: OrderSagaOutcome): void {
		const { currency, total_amount, status } = order;
		if (outcome.status === "completed") {
			all.counter(metrics.confirmed, currency).add();
			all.counter(metrics.revenue, currency).add(total_amount);
		}
		if (outcome.status === "closed") {
			const reason = CODES.has(outcome.reason) ? outcome.reason : "REQUESTED";
			all.counter(metrics.cancelled, currency, reason).add();
			if (status === "confirmed") all.counter(metrics.refunded, currency).add(total_amount);
		}
	}

	return {
		countPlaced({ order: { currency } }: OrderSaga): void {
			all.counter(metrics.placed, currency).add();
			// Report 0 before the first event: the ratio of two metrics requires both.
			for (const metric of [metrics.confirmed, metrics.revenue, metrics.refunded])
				all.counter(metric, currency);
		},
		/** Measures and counts a saga run. */
		async measure(
			saga: OrderSaga,
			run: () => Promise<OrderSagaOutcome>,
		): Promise<OrderSagaOutcome> {
			const start = performance.now();
			const outcome = await run();
			seconds[outcome.status].observe((performance.now() - start) / 1000);
			countOutcome(saga, outcome);
			return outcome;
		},
		countViolations(count: number): void {
			violations.add(count);
		},
	};
}
export type OrderMetrics = ReturnType<typeof orderMetrics>;
