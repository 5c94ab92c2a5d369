import type { Context, Middleware, ServiceBroker } from "moleculer";
import { runInCall } from "../lib/context/call-context.ts";
import { catalogue } from "../lib/observability/metrics/catalogue.ts";
import { type Histogram, metricsOf } from "../lib/observability/metrics/registry.ts";
import { isRefusal } from "../lib/resilience/outages.ts";

type Handler = (ctx: Context) => Promise<unknown>;

/** Counts and times the calls that this node executes, and provides their log context. */
export const callMetrics = {
	name: "Observe",
	localAction(this: ServiceBroker, next: Handler, { name }: { name: string }): Handler {
		// Excludes Moleculer's own actions, and the gateway's entry action, whose requests are counted
		// by route.
		if (name.startsWith("$") || name === "api.rest") return next;
		const metrics = metricsOf(this);
		const counterOf = (outcome: string) => metrics.counter(catalogue.calls, name, outcome);
		const [ok, refused, failed] = [counterOf("ok"), counterOf("refused"), counterOf("failed")];
		// Created on the first call: most nodes execute few of their actions, and a histogram has many
		// lines.
		let seconds: Histogram | undefined;
		const measured: Handler = async (ctx) => {
			const startedAt = performance.now();
			try {
				const result = await next(ctx);
				ok.add();
				return result;
			} catch (error) {
				(isRefusal(error) ? refused : failed).add();
				throw error;
			} finally {
				seconds ??= metrics.histogram(catalogue.callSeconds, name);
				seconds.observe((performance.now() - startedAt) / 1000);
			}
		};
		return (ctx) => runInCall(ctx, measured);
	},
} as unknown as Middleware;
