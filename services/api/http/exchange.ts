import type { IncomingMessage, Server, ServerResponse } from "node:http";
import helmet from "helmet";
import type { Logger, ServiceBroker } from "moleculer";
import type { ValidatedCache } from "../../../lib/caching/validated-cache.ts";
import type { Traced } from "../../../lib/context/traceparent.ts";
import type { Meta } from "../../../lib/contracts/contract.ts";
import type { Tracer } from "../../../lib/observability/tracing/tracing.ts";
import type { Routes, Target } from "../routing/routes.ts";
import type { Authenticate } from "../security/authenticate.ts";
import type { LimitHeaders, RateLimits } from "../security/rate-limits.ts";
import type { Revocations } from "../security/revocations.ts";
import type { EventStreams } from "../sse/event-streams.ts";
import type { AccessLog } from "./access-log.ts";
import type { Cors } from "./cors.ts";
import type { HttpServer } from "./server.ts";

/** The gateway's service: what it has of moleculer-web, and what it adds. */
export interface Gateway {
	readonly broker: ServiceBroker;
	readonly logger: Logger;
	readonly routes: object[];
	server: Server;
	httpHandler(req: IncomingMessage, res: ServerResponse): void;
	errorHandler(req: Request, res: Response, error: unknown): void;
	regenerateAutoAliases(): void;
	listener: HttpServer;
	accessLog: AccessLog;
	table: Routes;
	authenticate: Authenticate;
	cors: Cors;
	revocations: Revocations;
	rateLimits: RateLimits;
	eventStreams: EventStreams;
	responseCache: ValidatedCache<HttpResponse>;
	tracer: Tracer | undefined;
	/** How many proxies of ours a request comes through. */
	proxies: number;
}

/** A request as moleculer-web hands it around, with what we note on it. */
export interface Request extends IncomingMessage {
	id: string;
	/** By `performance.now()`. */
	startedAt: number;
	/** Of the limit that the request was counted for. */
	limit?: LimitHeaders;
	/** The client's, as far as it can be trusted. */
	address: string;
	/** The user, null for an anonymous request. `error`: the token is invalid, or cannot be verified now. */
	authentication: { readonly user: ReturnType<Authenticate>; readonly error?: unknown };
	/** Why it is not answered with what was asked for. */
	failure?: { readonly error: unknown; readonly code: string };
	/** Without the query and without a slash at its end. */
	parsedUrl: string;
	/** As the client wrote it, except for an absolute form and, in public reads, for parameters that are ignored. */
	originalUrl: string;
	$ctx: { meta: Meta; headers: Traced; requestID?: string };
	/** The action, on the node that is to be called. */
	$endpoint: object;
	$alias: Target;
	$params: Record<string, unknown>;
}
export type Response = ServerResponse<IncomingMessage>;
/** A handler of moleculer-web's: it answers, or calls `next` with an error. */
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

/** helmet's headers, for answers that are data and never a page to be rendered. They are the same each time, so they are asked for once. */
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

/** The one place where answers begin: the head, and what every answer has in it. */
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
		...headers,
	});
}

/** A whole answer. */
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
