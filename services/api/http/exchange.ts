import type { IncomingMessage, Server, ServerResponse } from "node:http";
import helmet from "helmet";
import type { Logger, ServiceBroker } from "moleculer";
import type { ValidatedCache } from "../../../lib/caching/validated-cache.ts";
import type { Traced } from "../../../lib/context/traceparent.ts";
import type { Meta } from "../../../lib/contracts/contract.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import type { Tracer } from "../../../lib/observability/tracing/tracing.ts";
import type { Published } from "../routing/published.ts";
import type { Match } from "../routing/router.ts";
import type { Authenticate } from "../security/authenticate.ts";
import type { LimitHeaders, RateLimits } from "../security/rate-limits.ts";
import type { Revocations } from "../security/revocations.ts";
import type { Cors } from "./cors.ts";
import type { HttpServer } from "./server.ts";

/** Members of the gateway's service: those of moleculer-web that are used, and our own. */
export interface Gateway {
	readonly broker: ServiceBroker;
	readonly logger: Logger;
	/** moleculer-web's records of the path prefixes; the gateway has one. */
	readonly routes: object[];
	server: Server;
	httpHandler(req: IncomingMessage, res: ServerResponse): void;
	errorHandler(req: Request, res: Response, error: unknown): void;
	sendError(req: Request, res: Response, error: unknown): void;
	regenerateAutoAliases(): void;
	listener: HttpServer;
	accessLog: { record(req: Request, res: Response): void };
	table: RouteTable;
	verifyToken: Authenticate;
	cors: Cors;
	revocations: Revocations;
	rateLimits: RateLimits;
	eventStreams: EventStreamServer;
	uploads: TransferServer;
	downloads: TransferServer;
	responseCache: ValidatedCache<HttpResponse>;
	tracer: Tracer | undefined;
	/** Number of our own proxies in front of the gateway. */
	proxies: number;
}

/** Routes of the live cluster, see `routing/routes.ts`. */
export interface RouteTable {
	/** Increases whenever the routes may have changed. */
	revision: number;
	/** Names of the headers with secrets of all routes, see `token` of an action. */
	readonly tokenHeaders: readonly string[];
	update(broker: ServiceBroker): string[];
	find(method: string | undefined, path: string): Match<Target>;
	peek(method: string | undefined, path: string): Target | undefined;
	allow(path: string): string[];
	list(): {
		readonly method: string;
		readonly path: string;
		readonly contract?: Published;
	}[];
}
/** Event streams to clients, see `sse/event-streams.ts`. */
interface EventStreamServer {
	serve(req: Request, res: Response, load: () => Promise<EventStreamPage>): Promise<void>;
	close(): Promise<void>;
}

/** Files from and to clients, see `transfers/`. */
interface TransferServer {
	serve(req: Request, res: Response): Promise<void>;
	close(): void;
}

/** Target of a route: an action somewhere in the cluster, or a system endpoint. */
export interface Target {
	/** Name of the action that moleculer-web calls. */
	readonly action?: string;
	readonly contract?: Published;
	/** A created resource has the address of this route, followed by its ID. */
	readonly collection?: boolean;
	/** The route acts on the resource at the path without its last segment: /orders/:id/cancel. */
	readonly onResource?: boolean;
	/** Handler of a system endpoint. */
	readonly handler?: Handler;
	/** Path as declared, with the names of its parameters. */
	readonly pattern: string;
	/** moleculer-web's record of the path prefix. */
	readonly route: object;
}

/** A request of moleculer-web, with the members that the gateway adds. */
export interface Request extends IncomingMessage {
	id: string;
	/** Time of arrival by `performance.now()`. */
	startedAt: number;
	/** Headers of the rate limit that counted the request. */
	limit?: LimitHeaders;
	/** Trustworthy address of the client, see `client-address.ts`. */
	address: string;
	/** `user` is null for an anonymous request. `error`: the token is invalid or not verifiable. */
	authentication: { readonly user: ReturnType<Authenticate>; readonly error?: unknown };
	/** The console's cookie as an Authorization header, if the request has none. */
	cookieAuthorization?: string | undefined;
	/** Error that was sent instead of a result. */
	failure?: { readonly error: unknown; readonly code: string };
	/** Path without the query and without a trailing slash. */
	parsedUrl: string;
	/**
	 * Path and query as sent by the client, without scheme and host and, in public reads, without
	 * ignored parameters.
	 */
	originalUrl: string;
	$ctx: { meta: Meta; headers: Traced; requestID?: string };
	/** The action on the selected node. */
	$endpoint: object;
	$alias: Target;
	$params: Record<string, unknown>;
}
/** Whether a request contains the secret of a resource, see `token` of an action. */
export function sendsSecret({ $alias, headers }: Request): boolean {
	const token = $alias?.contract?.token;
	return token !== undefined && headers[token.toLowerCase()] !== undefined;
}
export type Response = ServerResponse<IncomingMessage>;
/** A handler of moleculer-web: it sends a response or calls `next` with an error. */
export type Handler = (
	this: Gateway,
	req: Request,
	res: Response,
	next: (error: unknown) => void,
) => void;

export interface HttpResponse {
	readonly status: number;
	readonly headers?: Readonly<Record<string, string>> | undefined;
	readonly type?: string;
	readonly body?: string | Buffer;
}
export const JSON_TYPE = "application/json; charset=utf-8";

/** helmet's headers for responses that contain data and no page. They are constant. */
const SECURITY: Record<string, string> = {};
helmet({
	contentSecurityPolicy: {
		useDefaults: false,
		directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
	},
})(
	{} as IncomingMessage,
	{
		setHeader(name: string, value: string) {
			SECURITY[name] = value;
		},
		removeHeader: () => undefined,
	} as unknown as ServerResponse,
	() => undefined,
);

const PRIVATE = { "Cache-Control": "no-store" };
/**
 * Whether caches must not store the response: it contains a secret, or depends on a header with a
 * secret, which shared caches do not know.
 */
const isPrivate = ({ $alias }: Request): boolean =>
	$alias?.contract?.token !== undefined || $alias?.contract?.secret === true;

/** Writes the head of a response, with the headers that every response has. */
export function writeHead(
	gateway: Gateway,
	req: Request,
	res: Response,
	status: number,
	headers?: HttpResponse["headers"],
): Response {
	return res.writeHead(status, {
		...SECURITY,
		...gateway.cors.headers(req.headers.origin),
		"X-Request-ID": req.id,
		"X-Process-Time": (performance.now() - req.startedAt).toFixed(3),
		...(gateway.listener.closing ? { Connection: "close" } : {}),
		...req.limit,
		...(isPrivate(req) ? PRIVATE : undefined),
		...headers,
	});
}

/** Sends a complete response. */
export function sendResponse(
	gateway: Gateway,
	req: Request,
	res: Response,
	{ status, headers, type = JSON_TYPE, body }: HttpResponse,
): void {
	const content: Record<string, string> =
		body === undefined
			? {}
			: { "Content-Type": type, "Content-Length": String(Buffer.byteLength(body)) };
	writeHead(gateway, req, res, status, { ...content, ...headers }).end(body);
}
