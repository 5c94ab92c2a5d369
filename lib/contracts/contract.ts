import type { CallingOptions, Context, Logger, ServiceBroker, ServiceSchema } from "moleculer";
import { Errors } from "moleculer";
import { StartError } from "../process/start-error.ts";
import type { CommonError } from "./errors.ts";
import type { EventActions } from "./event-actions.ts";
import type { Infer, Input, Rule, Shape, Value } from "./schema.ts";
import { ignoreUnknownFields, rejectUnknownFields } from "./unknown-fields.ts";

/** Who may call an action over HTTP. `owner`: a user; the handler checks that what it loads is the caller's own (admins pass). */
export type Access = "anyone" | "user" | "owner" | "admin";

export interface ActionContract {
	readonly summary?: string;
	/** "POST /orders/:id/cancel", below /api. An action without a route is internal: only services may call it. */
	readonly rest?: string;
	/** Other methods that mean the same, PUT beside PATCH for instance. */
	readonly also?: readonly string[];
	readonly auth?: Access;
	/** Status of success; 200 unless given. 204 has no body. */
	readonly status?: 201 | 202 | 204;
	readonly params: Shape;
	readonly returns: Rule;
	/** The codes of the errors (declared in some contract's `errors`) that a caller must expect. */
	readonly throws?: readonly string[];
	/** Honors the Idempotency-Key header. */
	readonly idempotent?: true;
	/**
	 * The reason why a POST needs no Idempotency-Key, for instance that a repeated request has no
	 * second effect. Every POST declares either this or `idempotent`.
	 */
	readonly repeatable?: string;
	/** GET answers an ETag and honours If-None-Match; a change honours If-Match, which its handler finds in `meta.if_match`. */
	readonly etag?: true;
	/** `returns` is `streamed`: answered as Server-Sent Events. `watch` is the `versionsOf` action that tells when to call this one again. */
	readonly stream?: { readonly watch: string };
	/** Worth guessing or flooding: each address gets far fewer of these than of other requests. */
	readonly strict?: true;
	/** When it answers 202 with what there is so far: on `Prefer: respond-async`, or when it takes long. */
	readonly async?: "on request" | "when slow";
	/** `returns` is a `page`: the body is its rows, the total goes into a header. */
	readonly page?: true;
	/** Milliseconds until the caller gives up; the broker's default unless given. */
	readonly timeout?: number;
	/** A read that may be sent again when its answer was lost. The actions that it calls are reads as well. */
	readonly retry?: true;
	/**
	 * How a call is divided when its request or its result is too large for one NATS message; pages need no declaration. The result is a list. `list` names
	 * the parameter whose elements are distributed. `range` names the field of a row that `after` refers to, in an action with `after` and `limit`. The
	 * action must be safe to repeat.
	 */
	readonly divide?: { readonly list: string } | { readonly range: string };
	/**
	 * The answer is kept for `ttl` milliseconds, by all parameters, and by the caller unless `auth` is `anyone`: such an answer must not depend on who asks.
	 * It is made from the service's own rows, whose changes go through `changing` of its cache; what the handler writes into `meta` is not kept.
	 */
	readonly cache?: { readonly ttl: number };
	/**
	 * Gateways keep the finished answer for `ttl` milliseconds at most and give it to everybody, until the service's rows change (docs/adr/0016). Only for a GET that
	 * is open to anyone: the answer is made from its path and query and from the service's own rows, as with `cache`, and from nothing else.
	 */
	readonly responseCache?: { readonly ttl: number };
	/** How many calls one node works on at once, and how many more may wait there; beyond that a call is refused as an outage. For what is expensive. */
	readonly bulkhead?: { readonly concurrency: number; readonly queue: number };
}
export interface ErrorContract {
	readonly status: number;
	readonly message: string;
}
export interface Contract {
	readonly name: string;
	readonly actions: { readonly [name: string]: ActionContract };
	/** Past tense; the event `confirmed` of `order` is `order.confirmed` everywhere. */
	readonly events?: { readonly [type: string]: Shape };
	readonly errors?: { readonly [code: string]: ErrorContract };
}

/** Every domain adds itself: declare module "../../lib/contract.ts" { interface Contracts { orders: typeof orders } } */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface Contracts {}

type Dot<A, B> = `${A & string}.${B & string}`;
type Union<T> = T[keyof T];
type ActionsOf<D extends keyof Contracts> = {
	[K in keyof Contracts[D]["actions"] as Dot<D, K>]: Contracts[D]["actions"][K];
};
type EventsOf<D extends keyof Contracts> = Contracts[D] extends { events: infer E }
	? E
	: Record<never, never>;
type ErrorsOf<D extends keyof Contracts> = Contracts[D] extends { errors: infer E }
	? E
	: Record<never, never>;
type Merge<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void
	? I
	: never;

/** All actions of all contracts, by their full names. */
export type Actions = Merge<Union<{ [D in keyof Contracts]: ActionsOf<D> }>>;
/** All events of all contracts, by their types. */
export type Events = Merge<Union<{ [D in keyof Contracts]: EventsOf<D> }>>;
export type EventType = keyof Events & string;
export type EventData<E extends EventType> = Infer<Events[E]>;
export type ErrorCode = keyof Merge<Union<{ [D in keyof Contracts]: ErrorsOf<D> }>> & string;

type Params<A> = A extends { params: infer P } ? P : never;
type Returns<A> = A extends { returns: infer R } ? Value<R> : never;
type Args<P> =
	Record<never, never> extends P
		? [params?: P, options?: CallingOptions]
		: [params: P, options?: CallingOptions];

/** What travels with every call. The gateway fills it; an action may set the keys that begin with `$` to shape the HTTP answer. */
export interface Meta {
	/** `session`: the sign-in that the access token came from. */
	user?: { id: string; email: string; role: "user" | "admin"; session?: string } | null;
	/** Where the client's connection came from: an IPv4 address or an IPv6 network. */
	address?: string;
	idempotency_key?: string;
	respond_async?: boolean;
	/** Entity tags, one of which what is to be changed must have. */
	if_match?: string;
	$statusCode?: number;
	$responseHeaders?: Record<string, string>;
}

export type Call = <N extends keyof Actions & string>(
	name: N,
	...args: Args<Input<Params<Actions[N]>>>
) => Promise<Returns<Actions[N]>>;
export type Ctx<P = unknown> = Omit<
	Context<P, Meta>,
	"call" | "mcall" | "emit" | "broadcast" | "broker"
> & { call: Call };

/** How a service calls others where it has no call of its own to answer. */
export const callerOf = ({ name, broker }: ServiceThis): Call =>
	((action: string, params: object, options?: CallingOptions) =>
		broker.call(
			action as never,
			params as never,
			{ ...options, caller: name } as never,
		)) as unknown as Call;

/** A mixin, and in M the members that it puts on `this`. */
export interface Mixin<M = unknown> {
	readonly $this?: M;
	readonly mixins?: readonly object[];
	readonly settings?: object;
	readonly methods?: object;
	readonly actions?: object;
	readonly metadata?: object;
	created?(this: never): void;
	started?(this: never): Promise<void>;
	stopped?(this: never): Promise<void>;
}
type Members<X> = X extends readonly [Mixin<infer M>, ...infer Rest] ? M & Members<Rest> : unknown;

export interface ServiceThis {
	readonly name: string;
	readonly broker: ServiceBroker & { call: Call };
	readonly logger: Logger;
}
type Handler<M, A> = A extends { params: infer P; returns: infer R }
	? (this: ServiceThis & M, ctx: Ctx<Infer<P>>) => Promise<Value<R>>
	: never;

interface Implementation<C extends Contract, M, S> {
	/** Runs when the service starts, after its mixins; what it returns becomes part of `this`. */
	setup?(this: ServiceThis & M): S | Promise<S>;
	/** Runs when everything that the service depends on is there. */
	ready?(this: ServiceThis & M & S): void | Promise<void>;
	/** All but those that the events mixin implements. */
	actions: {
		[K in Exclude<keyof C["actions"], keyof EventActions>]: Handler<M & S, C["actions"][K]>;
	};
	subscriptions?: object;
	/** Runs before the mixins stop. */
	stop?(this: ServiceThis & M & S): void | Promise<void>;
	dependencies?: (keyof Contracts)[];
}

export const contract = <const C extends Contract>(c: C): C => c;

/**
 * Joins a contract and its handlers into a plain Moleculer schema: `implement(orders, database, …mixins).with({ actions })`.
 * Two calls, because TypeScript would otherwise widen enum results to string.
 */
export const implement = <C extends Contract, const X extends readonly Mixin[]>(
	c: C,
	...mixins: X
) => ({
	with<S = unknown>({
		actions,
		setup,
		ready,
		stop,
		dependencies,
		subscriptions = {},
	}: Implementation<C, Members<X>, S>): ServiceSchema {
		const handlers = actions as Record<string, unknown>;
		const joined = Object.entries(c.actions).flatMap(([name, action]) =>
			name in handlers
				? [
						[
							name,
							toActionSchema(
								action,
								handlers[name],
								action.rest ? rejectUnknownFields : ignoreUnknownFields,
							),
						],
					]
				: [],
		);
		return {
			name: c.name,
			mixins: [...mixins].reverse() as unknown as ServiceSchema[], // moleculer starts the last one first
			dependencies: dependencies as string[],
			subscriptions,
			metadata: unshared({
				events: c.events,
				errors: c.errors,
				subscriptions: Object.keys(subscriptions),
			}),
			actions: Object.fromEntries(joined),
			async started(this: ServiceThis & Members<X> & S) {
				if (setup) Object.assign(this, await setup.call(this));
				await ready?.call(this);
			},
			async stopped(this: ServiceThis & Members<X> & S) {
				await stop?.call(this);
			},
		} as unknown as ServiceSchema;
	},
});

/**
 * moleculer spells some things its own way; everything else of a contract is registered as it stands.
 * @param reading what becomes of parameters that the contract does not know: an error for clients and operators; services, which may be of a newer
 * version, are understood without them (docs/adr/0013)
 */
export function toActionSchema(
	{ bulkhead, ...action }: ActionContract,
	handler: unknown,
	reading: (params: Shape) => object = rejectUnknownFields,
) {
	assertSharable(action);
	return {
		...unshared({ ...action, params: reading(action.params) }),
		...(bulkhead
			? {
					bulkhead: {
						enabled: true,
						concurrency: bulkhead.concurrency,
						maxQueueSize: bulkhead.queue,
					},
				}
			: {}),
		visibility: action.rest ? "published" : "public",
		handler,
	};
}

/** @throws StartError where gateways would keep what is not the same for all who ask for it */
function assertSharable({
	responseCache,
	rest = "an action without a route",
	also,
	auth,
	stream,
}: ActionContract): void {
	if (!responseCache || (rest.startsWith("GET ") && !also && auth === "anyone" && !stream)) return;
	throw new StartError(`\`near\` is for a GET that is open to anyone, and not for ${rest}`);
}

/**
 * A copy in which no object occurs twice. moleculer takes one that it meets again for a circle and leaves it out of what it tells other nodes,
 * and contracts share rules everywhere.
 */
const unshared = <T>(data: T): T => JSON.parse(JSON.stringify(data));

/** Errors keep their `type` across nodes but lose their class, so only types are ever compared. */
export function contractError<C extends Contract>(
	c: C,
	code: keyof C["errors"] & string,
	data?: object,
	message?: string,
): Error {
	const { status, message: standard } = c.errors![code]!;
	return new Errors.MoleculerClientError(message ?? standard, status, code, data);
}
/** Throws one of the contract's own errors. `data` becomes extra members of the problem document. */
export function throwError<C extends Contract>(
	c: C,
	code: keyof C["errors"] & string,
	data?: object,
	message?: string,
): never {
	throw contractError(c, code, data, message);
}
/** Whether something that was caught is this error, wherever it was thrown. */
export const isError = (error: unknown, code: ErrorCode | CommonError): boolean =>
	(error as { type?: string } | null)?.type === code;
