import type { Context, Middleware, ServiceBroker } from "moleculer";
import { runInCall } from "../lib/context/call-context.ts";
import { catalogue } from "../lib/observability/metrics/catalogue.ts";
import { type Histogram, metricsOf } from "../lib/observability/metrics/registry.ts";
import { isRefusal } from "../lib/observability/tracing/error-kind.ts";

type Handler = (ctx: Context) => Promise<unknown>;

/** Counts and times the calls that this node works on, and lets the lines that are logged meanwhile say whom they are about. */
export const callMetrics = {
	name: "Observe",
	localAction(this: ServiceBroker, next: Handler, { name }: { name: string }): Handler {
		// moleculer's own; and the gateway's way in, where requests are counted by their routes.
		if (name.startsWith("$") || name === "api.rest") return next;
		const metrics = metricsOf(this);
		const counted = (outcome: string) => metrics.counter(catalogue.calls, name, outcome);
		const [ok, refused, failed] = [counted("ok"), counted("refused"), counted("failed")];
		// Most nodes are asked for few of the actions that they have, and a histogram is many lines at each scrape.
		let seconds: Histogram | undefined;
		const timed: Handler = async (ctx) => {
			const begun = performance.now();
			try {
				const result = await next(ctx);
				ok.add();
				return result;
			} catch (error) {
				(isRefusal(error) ? refused : failed).add();
				throw error;
			} finally {
				seconds ??= metrics.histogram(catalogue.callSeconds, name);
				seconds.observe((performance.now() - begun) / 1000);
			}
		};
		return (ctx) => runInCall(ctx, timed);
	},
} as unknown as Middleware;
