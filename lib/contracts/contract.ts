import type { CallingOptions, Context, Logger, ServiceBroker } from "moleculer";
import { Errors } from "moleculer";
import type { CommonError } from "./errors.ts";
import type { Infer, Input, Rule, Shape, Value } from "./schema.ts";

/**
 * Access rule of an action over HTTP. `owner` requires a signed-in user, and the handler checks
 * that the loaded row belongs to the caller or that the caller is an administrator.
 */
export type Access = "anyone" | "user" | "owner" | "admin";

export interface ActionContract {
	readonly summary?: string;
	/**
	 * Route below /api, for example "POST /orders/:id/cancel". An action without a route is internal:
	 * only services may call it.
	 */
	readonly rest?: string;
	/** Alternative methods of the same route, for example PUT in addition to PATCH. */
	readonly also?: readonly string[];
	readonly auth?: Access;
	/** HTTP status of a success; 200 by default. 204 has no body. */
	readonly status?: 201 | 202 | 204;
	/**
	 * Name of a header with a secret that gives access to the resource, for guests: `Cart-Token`. The
	 * handler reads `meta.token`, 1 to 200 characters of base64url, or undefined, and compares it in
	 * constant time. It responds to a wrong secret with 404, which the gateway counts against the
	 * strict rate limit of the address. Responses are not cached. Not with `cache`, `responseCache`.
	 */
	readonly token?: string;
	readonly params: Shape;
	readonly returns: Rule;
	/** Codes of the errors that a caller must expect, each declared in the `errors` of a contract. */
	readonly throws?: readonly string[];
	/** Supports the Idempotency-Key header. */
	readonly idempotent?: true;
	/**
	 * The reason why a POST needs no Idempotency-Key, for instance that a repeated request has no
	 * second effect. Every POST declares either this or `idempotent`.
	 */
	readonly repeatable?: string;
	/**
	 * Passes the bytes of the body unparsed, at most 256 kB of any media type, as the parameters of
	 * {@link rawBody}: a signature covers the bytes, and must be verified before they are parsed. Not
	 * subject to the rate limits, so a `bulkhead` limits the calls.
	 */
	readonly rawBody?: true;
	/**
	 * The body is a JSON array of at most 192 kB, the value of this list parameter. Every other
	 * parameter is in the path. Errors name its fields by their position: `[3].country`.
	 */
	readonly bodyList?: string;
	/**
	 * A GET returns an ETag and supports If-None-Match. A change supports If-Match; its handler reads
	 * `meta.if_match`. The tag is that of the body, unless the handler sets the header ETag.
	 * "if-match": a POST that supports If-Match, for the tag of the resource at its path.
	 */
	readonly etag?: true | "if-match";
	/**
	 * Responds with Server-Sent Events; `returns` is an `eventStreamPage`. The gateway polls the
	 * `versionsOf` action `watch` and calls this action again after a change.
	 */
	readonly stream?: { readonly watch: string };
	/**
	 * The body is a file of rows, CSV or NDJSON, of any size (docs/adr/0030). The gateway calls the
	 * action with one batch after another: `params` are an `uploadBatch`, `returns` is an
	 * `uploadResult`. A batch whose result is lost is repeated, possibly on another node, so it must
	 * be safe to repeat. `key` names the column that identifies a row within its file.
	 */
	readonly upload?: { readonly key: string };
	/**
	 * Responds with a file. `params` are a `downloadRequest`, `returns` is a `downloadPart`; the
	 * gateway calls the action for one part after another. `name` is that of the file, without
	 * extension.
	 */
	readonly download?: { readonly name: string };
	/**
	 * Applies the strict rate limit per address, against guessing and flooding. "guests": only to
	 * requests without a valid access token.
	 */
	readonly strict?: true | "guests";
	/**
	 * Errors that count as a wrong secret if the request contains the secret of a guest, so that an
	 * address can try few codes or cards.
	 */
	readonly guesses?: readonly string[];
	/** The result contains a secret: caches must not store the response. */
	readonly secret?: true;
	/**
	 * When to respond early with 202 and the current state. "on request": `Prefer: respond-async`.
	 */
	readonly async?: "on request" | "when slow";
	/** `returns` is a `page`: the response body contains its rows, and a header the total. */
	readonly page?: true;
	/** Timeout of a call in milliseconds; by default that of the broker. */
	readonly timeout?: number;
	/** A read that may be retried when its result is lost. It calls only reads itself. */
	readonly retry?: true;
	/**
	 * How to divide a call whose request or result is too large for one NATS message. Pages need no
	 * declaration. The result must be a list and the action safe to repeat. `list` names the
	 * parameter whose elements are distributed. `range` names the field of a row that `after` refers
	 * to, in an action with `after` and `limit`.
	 */
	readonly divide?: { readonly list: string } | { readonly range: string };
	/**
	 * Caches the result for `ttl` milliseconds by parameters, and by caller unless `auth` is
	 * `anyone`. In that case the result must not depend on the caller. The result must depend only on
	 * the service's own rows, and every change of them must use `whileInvalidated` of the service's
	 * cache. `meta` is not cached.
	 */
	readonly cache?: { readonly ttl: number };
	/**
	 * Gateways cache the finished response for at most `ttl` milliseconds, for all clients, until the
	 * service's rows change (docs/adr/0016). Only for a GET that is open to anyone: the response must
	 * depend only on path, query and the service's own rows, as with `cache`.
	 */
	readonly responseCache?: { readonly ttl: number };
	/**
	 * Limits of concurrent and waiting calls per node, for expensive actions. Further calls are
	 * rejected as an outage.
	 */
	readonly bulkhead?: { readonly concurrency: number; readonly queue: number };
}
interface ErrorContract {
	readonly status: number;
	readonly message: string;
}
export interface Contract {
	readonly name: string;
	readonly actions: { readonly [name: string]: ActionContract };
	/** Names in the past tense, prefixed by the subject: `order.confirmed`. */
	readonly events?: { readonly [type: string]: Shape };
	readonly errors?: { readonly [code: string]: ErrorContract };
}

/**
 * Contracts by service name. Each domain adds its own:
 * `declare module "…/contract.ts" { interface Contracts { orders: typeof orders } }`
 */
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

/** All actions of all contracts, by full name. */
type Actions = Merge<Union<{ [D in keyof Contracts]: ActionsOf<D> }>>;
/** All events of all contracts, by type. */
type Events = Merge<Union<{ [D in keyof Contracts]: EventsOf<D> }>>;
export type EventType = keyof Events & string;
export type EventData<E extends EventType> = Infer<Events[E]>;
type ErrorCode = keyof Merge<Union<{ [D in keyof Contracts]: ErrorsOf<D> }>> & string;

type Params<A> = A extends { params: infer P } ? P : never;
type Returns<A> = A extends { returns: infer R } ? Value<R> : never;
type Args<P> =
	Record<never, never> extends P
		? [params?: P, options?: CallingOptions]
		: [params: P, options?: CallingOptions];

/**
 * Metadata of a call, which nested calls inherit. The gateway fills it. An action may set the keys
 * that begin with `$` to control the HTTP response.
 */
export interface Meta {
	/** `session`: ID of the sign-in that issued the access token. */
	user?: { id: string; email: string; role: "user" | "admin"; session?: string } | null;
	/** Address of the client: an IPv4 address or an IPv6 network. */
	address?: string;
	idempotency_key?: string;
	respond_async?: boolean;
	/** Secret that gives access to the resource, well-formed but not verified: see `token`. */
	token?: string;
	/** Entity tags; the current one of the resource must be among them. */
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

/** Call function of a service for work outside of a call, such as a poller. */
export const callerOf = ({ name, broker }: ServiceThis): Call =>
	((action: string, params: object, options?: CallingOptions) =>
		broker.call(
			action as never,
			params as never,
			{ ...options, caller: name } as never,
		)) as unknown as Call;

/** A Moleculer mixin; M has the members that it adds to `this`. */
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

/** Members of every service. */
export interface ServiceThis {
	readonly name: string;
	readonly broker: ServiceBroker & { call: Call };
	readonly logger: Logger;
}

/**
 * Returns its argument, typed with its literal values, and frozen at every depth: contracts share
 * rules, and fastest-validator writes into the rules that it compiles, so compile a copy.
 */
export const contract = <const C extends Contract>(c: C): C => freeze(c);

function freeze<T>(value: T): T {
	if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
	Object.freeze(value);
	for (const member of Object.values(value)) freeze(member);
	return value;
}

/**
 * Creates one of the contract's errors. `data` becomes additional members of the problem document.
 * Errors keep their `type` between nodes but lose their class, so compare types only.
 */
export function contractError<C extends Contract>(
	c: C,
	code: keyof C["errors"] & string,
	data?: object,
	message?: string,
): Error {
	const { status, message: standard } = c.errors![code]!;
	return new Errors.MoleculerClientError(message ?? standard, status, code, data);
}
/** Throws an error of {@link contractError}. */
export function throwError<C extends Contract>(
	c: C,
	code: keyof C["errors"] & string,
	data?: object,
	message?: string,
): never {
	throw contractError(c, code, data, message);
}
/** Whether a caught value is the given error, thrown on this node or another. */
export const isError = (error: unknown, code: ErrorCode | CommonError): boolean =>
	(error as { type?: string } | null)?.type === code;
