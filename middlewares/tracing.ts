import type { Context, Middleware, ServiceBroker } from "moleculer";
import { currentTraceparents, isSampled, type Traced } from "../lib/context/traceparent.ts";
import { recordSpanEventsOn } from "../lib/observability/tracing/span-events.ts";
import {
	anySampled,
	type SpanDescription,
	traceBatch,
	traceWork,
} from "../lib/observability/tracing/traced-work.ts";
import {
	provideTracing,
	type Span,
	type SpanKind,
	type Tracing,
} from "../lib/observability/tracing/tracing.ts";
import { breakerState } from "../lib/resilience/circuit-breakers.ts";

type Order = Traced & { readonly order_id: string };
type Call = Context<{ orders?: readonly Order[] }, object, object, { traceparent?: string }> & {
	endpoint: { name: string };
};
type Handler = (ctx: Call) => Promise<unknown>;
type Spans = readonly (Span | undefined)[];
/** Observes a call. Returns a function that runs at its end. */
type Observe = (ctx: Call, spans: Spans) => () => void;
interface Action {
	readonly name: string;
	readonly service: { readonly name: string };
	readonly params?: { readonly orders?: { readonly items?: { readonly props?: object } } };
}
/** Caller of calls made outside any service. */
const DEFAULT_CALLER = "moleculer-commerce";

/**
 * Adds a span to each call of a recorded trace, on the caller's and the called node's side; a call
 * about many orders has one in the trace of each. Registered only if tracing is on, outside all
 * middlewares that repeat or reject calls, and inside the one that determines the call's trace.
 */
export function tracing(tracing: Tracing): Middleware {
	/** Wraps the calls of one action in spans of `service`. */
	function spanned(
		action: Action,
		next: Handler,
		side: (ctx: Call) => { service: string; kind: SpanKind },
		observe?: Observe,
	): Handler {
		const { name, service } = action;
		const batched = isBatch(action);
		const about = {
			"rpc.system": "moleculer",
			"rpc.service": service.name,
			"rpc.method": name.slice(service.name.length + 1),
		};
		async function run(ctx: Call, spans: Spans) {
			recordSpanEventsOn(ctx, spans);
			const finish = observe?.(ctx, spans);
			return next(ctx).finally(finish);
		}
		return (ctx) => {
			const { traceparent } = ctx.headers;
			const orders = batched && Array.isArray(ctx.params.orders) ? ctx.params.orders : [];
			const perOrder = anySampled(orders);
			if (
				!perOrder &&
				!(traceparent ? isSampled(traceparent) : currentTraceparents().some(isSampled))
			)
				return next(ctx);
			const { service, kind } = side(ctx);
			const tracer = tracing.of(service);
			const node = kind === "internal" ? {} : { "moleculer.node": ctx.nodeID ?? undefined };
			const description = { kind, name: () => name, attributes: () => ({ ...about, ...node }) };
			if (perOrder) {
				const attributes = ({ order_id }: Order) => ({
					...about,
					...node,
					"order.id": order_id,
					"batch.size": orders.length,
				});
				return traceBatch(tracer, orders, { ...description, attributes }, async (traced, spans) => {
					ctx.params = { ...ctx.params, orders: traced };
					const outcomes = (await run(ctx, spans)) as { status?: string; code?: string }[];
					spans.forEach((span, i) => {
						span?.set({ "order.outcome": outcomes[i]?.status, "order.refusal": outcomes[i]?.code });
					});
					return outcomes;
				});
			}
			// Batched work for many traces, none of which is the call's own.
			if (!traceparent) return traceWork(tracer, description, () => next(ctx));
			return traceBatch(tracer, [{ traceparent }], description, ([traced], spans) => {
				ctx.headers = { ...ctx.headers, ...traced };
				return run(ctx, spans);
			});
		};
	}

	return {
		name: "Tracing",
		created(broker: ServiceBroker) {
			provideTracing(broker, tracing);
			const logger = broker.getLogger("tracing");
			tracing.onExportError((error) => logger.warn("Traces could not be exported", { error }));
		},
		localAction(this: ServiceBroker, next: Handler, action: Action): Handler {
			const service = action.service.name;
			return spanned(action, next, ({ nodeID }) => ({
				service,
				kind: nodeID === this.nodeID ? "internal" : "server",
			}));
		},
		remoteAction(this: ServiceBroker, next: Handler, action: Action): Handler {
			const observe: Observe = (ctx, spans) => observeCircuit(this, ctx, spans);
			return spanned(
				action,
				next,
				({ caller }) => ({ service: caller ?? DEFAULT_CALLER, kind: "client" }),
				observe,
			);
		},
		stopped: () => tracing.close(),
		localEvent(this: ServiceBroker, next: Handler, { name, service }: Action): Handler {
			const description: SpanDescription = {
				kind: "consumer",
				name: () => name,
				attributes: () => ({ "messaging.system": "moleculer" }),
			};
			return (ctx) => {
				const { traceparent } = ctx.headers;
				if (!traceparent || !isSampled(traceparent)) return next(ctx);
				return traceBatch(tracing.of(service.name), [{ traceparent }], description, () =>
					next(ctx),
				);
			};
		},
	} as unknown as Middleware;
}

/** Whether an action's contract is a `command`: about many orders, each with its trace. */
const isBatch = ({ params }: Action): boolean =>
	"traceparent" in (params?.orders?.items?.props ?? {});

/** Records the state of the circuit breaker before the call, and its change. */
function observeCircuit(broker: ServiceBroker, { endpoint }: Call, spans: Spans): () => void {
	const before = breakerState(broker, endpoint);
	for (const span of spans) span?.set({ "circuit_breaker.state": before });
	return () => {
		const after = breakerState(broker, endpoint);
		if (after === before) return;
		for (const span of spans)
			span?.addEvent(`circuit breaker ${after}`, { "circuit_breaker.state": after });
	};
}
