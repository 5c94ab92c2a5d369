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
/** Looks on as a call is made; answers what to do at its end. */
type Watch = (ctx: Call, spans: Spans) => () => void;
interface Action {
	readonly name: string;
	readonly service: { readonly name: string };
	readonly params?: { readonly orders?: { readonly items?: { readonly props?: object } } };
}
/** Who calls where nobody says so. */
const NOBODY = "moleculer-commerce";

/**
 * A span for each call whose trace is recorded, on either side; of a call about many orders, one in the trace of each. It is there only where there is
 * tracing, stands outside all that may repeat or refuse a call, and behind the one that says which trace a call belongs to.
 */
export function tracing(tracing: Tracing): Middleware {
	/** Spans of calls of one action, by `service`. `watch` looks on. */
	function spanned(
		action: Action,
		next: Handler,
		side: (ctx: Call) => { service: string; kind: SpanKind },
		watch?: Watch,
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
			const seen = watch?.(ctx, spans);
			return next(ctx).finally(seen);
		}
		return (ctx) => {
			const { traceparent } = ctx.headers;
			const orders = batched && Array.isArray(ctx.params.orders) ? ctx.params.orders : [];
			const each = anySampled(orders);
			if (!each && !(traceparent ? isSampled(traceparent) : currentTraceparents().some(isSampled)))
				return next(ctx);
			const { service, kind } = side(ctx);
			const tracer = tracing.of(service);
			const node = kind === "internal" ? {} : { "moleculer.node": ctx.nodeID ?? undefined };
			const look = { kind, name: () => name, attributes: () => ({ ...about, ...node }) };
			if (each) {
				const attributes = ({ order_id }: Order) => ({
					...about,
					...node,
					"order.id": order_id,
					"batch.size": orders.length,
				});
				return traceBatch(tracer, orders, { ...look, attributes }, async (inside, spans) => {
					ctx.params = { ...ctx.params, orders: inside };
					const outcomes = (await run(ctx, spans)) as { status?: string; code?: string }[];
					spans.forEach((span, i) => {
						span?.set({ "order.outcome": outcomes[i]?.status, "order.refusal": outcomes[i]?.code });
					});
					return outcomes;
				});
			}
			// The work of many, of which none is the call's own.
			if (!traceparent) return traceWork(tracer, look, () => next(ctx));
			return traceBatch(tracer, [{ traceparent }], look, ([inside], spans) => {
				ctx.headers = { ...ctx.headers, ...inside };
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
			const watch: Watch = (ctx, spans) => watchCircuit(this, ctx, spans);
			return spanned(
				action,
				next,
				({ caller }) => ({ service: caller ?? NOBODY, kind: "client" }),
				watch,
			);
		},
		stopped: () => tracing.close(),
		localEvent(this: ServiceBroker, next: Handler, { name, service }: Action): Handler {
			const look: SpanDescription = {
				kind: "consumer",
				name: () => name,
				attributes: () => ({ "messaging.system": "moleculer" }),
			};
			return (ctx) => {
				const { traceparent } = ctx.headers;
				if (!traceparent || !isSampled(traceparent)) return next(ctx);
				return traceBatch(tracing.of(service.name), [{ traceparent }], look, () => next(ctx));
			};
		},
	} as unknown as Middleware;
}

/** Whether an action's contract is a `command`: about many orders, each with its trace. */
const isBatch = ({ params }: Action): boolean =>
	"traceparent" in (params?.orders?.items?.props ?? {});

/** Shows how the circuit breaker stood, and what the call made of it. */
function watchCircuit(broker: ServiceBroker, { endpoint }: Call, spans: Spans): () => void {
	const before = breakerState(broker, endpoint);
	for (const span of spans) span?.set({ "circuit_breaker.state": before });
	return () => {
		const after = breakerState(broker, endpoint);
		if (after === before) return;
		for (const span of spans)
			span?.addEvent(`circuit breaker ${after}`, { "circuit_breaker.state": after });
	};
}
