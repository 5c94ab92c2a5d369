import { join } from "node:path";
import type { Middleware, ServiceBroker, ServiceSchema } from "moleculer";
import ApiService from "moleculer-web";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import { type ActionContract, isError } from "../../lib/contracts/contract.ts";
import { catalogue } from "../../lib/observability/metrics/catalogue.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { assertAccess } from "../../lib/security/access-rules.ts";
import { accessTokenVerifier } from "../../lib/security/access-token.ts";
import { REVOKED } from "../../lib/security/revocations.ts";
import { envOf } from "../../lib/settings/env.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { AccessLog } from "./http/access-log.ts";
import { admit } from "./http/admission.ts";
import { cors } from "./http/cors.ts";
import { type Gateway, type Request, type Response, sendResponse } from "./http/exchange.ts";
import { sendProblem } from "./http/problem-details.ts";
import { metadata } from "./http/request-metadata.ts";
import { readTarget } from "./http/request-target.ts";
import { trace } from "./http/request-traces.ts";
import { respond, sizeOf } from "./http/response.ts";
import { HttpServer } from "./http/server.ts";
import { Routes, type Target } from "./routing/routes.ts";
import { authenticator } from "./security/authenticate.ts";
import { rateLimits } from "./security/rate-limits.ts";
import { Revocations } from "./security/revocations.ts";
import { EventStreams } from "./sse/event-streams.ts";
import { systemEndpoints } from "./system-endpoints.ts";

/** The folders beside this one are the services that the shop consists of. Nothing else is known of them here. */
const names = serviceNames(join(import.meta.dirname, ".."));

/** Runs between the choice of an action and its call: who asks, and whether he may. */
async function prepare(
	this: Gateway,
	ctx: Request["$ctx"],
	_route: object,
	req: Request,
	res: Response,
	{ contract }: Target,
): Promise<void> {
	ctx.requestID = req.id;
	if (!contract) return;
	trace(this, ctx, req, res, contract);
	const user = identify(contract, req, res);
	assertAccess(contract.auth, user);
	Object.assign(ctx.meta, metadata(req, contract), { user, address: req.address });
}

/**
 * Returns the caller, or null without one. A public route ignores a token that is invalid or cannot be verified now: a client that sends
 * its token with every request must still be able to browse, sign in and refresh. RFC 9110, 11.6.1, allows WWW-Authenticate in any
 * response, so the client learns that its token is invalid.
 * @throws UNAUTHENTICATED, SERVICE_UNAVAILABLE where the route requires a user
 */
function identify(
	{ auth }: ActionContract,
	{ authentication: { user, error } }: Request,
	res: Response,
) {
	if (!error) return user;
	if (auth !== "anyone") throw error;
	if (isError(error, "UNAUTHENTICATED"))
		res.setHeader("WWW-Authenticate", 'Bearer error="invalid_token"');
	return null;
}

/**
 * The gateway: moleculer-web takes a request through its stages and makes the call; what we know better is overridden: which route it is
 * (from the registry, without a scan), what its parameters are, and what the answer looks like.
 */
export default {
	name: "api",
	mixins: [ApiService],
	settings: {
		// Ours, see Listener: moleculer-web's ends the process when the port is taken, and does not wait for requests when it stops.
		server: false,
		rootCallOptions(options: { requestID?: string }) {
			// Set in `prepare`: moleculer-web would make a header of it at once, and after that node:http takes all others the slow way.
			options.requestID = "";
		},
		routes: [
			{
				path: "/",
				autoAliases: true,
				mergeParams: false,
				bodyParsers: false,
				logging: false,
				onBeforeCall: prepare,
			},
		],
		logRouteRegistration: null,
		debounceTime: 100,
		// Functions are of no use to other nodes.
		$secureSettings: ["routes", "rootCallOptions"],
	},
	// They would be callable from every node, and listAliases has a route of its own.
	actions: { listAliases: false, addRoute: false, removeRoute: false },

	created(this: Gateway) {
		const env = envOf(this.broker);
		const { JWT_SECRET, JWT_SECRET_PREVIOUS, CORS_ORIGINS, TRUST_PROXY } = env;
		if (!JWT_SECRET)
			throw new StartError("JWT_SECRET is not set: the gateway needs it to verify access tokens");
		this.revocations = new Revocations(this.broker, this.logger);
		this.authenticate = authenticator(
			accessTokenVerifier(JWT_SECRET, JWT_SECRET_PREVIOUS),
			this.revocations,
		);
		this.proxies = TRUST_PROXY;
		this.tracer = tracingOf(this.broker)?.of("api");
		this.cors = cors(CORS_ORIGINS);
		this.rateLimits = rateLimits(this.broker, this.logger, env);
		this.eventStreams = new EventStreams(this);
		this.responseCache = new ValidatedCache(cacheOf(this.broker), sizeOf, {
			metrics: metricsOf(this.broker),
		});
		this.table = new Routes(names, systemEndpoints(this.broker, names), this.routes[0]!);
		this.accessLog = new AccessLog(this.broker);
		this.listener = new HttpServer(
			(req, res) => void admit(this, req as Request, res as Response),
			(req, res) => this.accessLog.record(req as Request, res as Response),
			(req, error) =>
				this.logger.error("A response failed", { request_id: (req as Request).id, error }),
		);
		metricsOf(this.broker).collect((tell) => tell(catalogue.underWay, this.listener.inFlight));
		this.server = this.listener.server;
		// The services of this node stop all at once; requests under way need them.
		this.broker.middlewares.add({ name: "Drain", stopping: () => close(this) } as Middleware);
	},

	async started(this: Gateway) {
		const { HOST, PORT } = envOf(this.broker);
		await neighboursStarted(this.broker);
		this.regenerateAutoAliases();
		await this.revocations.start();
		await this.listener.open(HOST, PORT);
		this.logger.info(`The gateway listens on http://${HOST}:${PORT}`);
	},

	async stopped(this: Gateway) {
		await close(this);
		await this.revocations.stop();
		this.rateLimits.close();
	},

	events: {
		[REVOKED](this: Gateway) {
			this.revocations.wake();
		},
	},

	methods: {
		/** moleculer-web calls it, debounced, when services come or go; and once before `created`. */
		regenerateAutoAliases(this: Gateway) {
			for (const problem of this.table?.learn(this.broker) ?? []) this.logger.error(problem);
		},
		/** The query is read where it counts. */
		parseQueryString(req: Request) {
			return { url: readTarget(req), query: {} };
		},
		resolveAlias(this: Gateway, path: string, method: string | undefined) {
			const { target, params } = this.table.find(method, path);
			return { alias: target, params };
		},
		/** @returns whether the request is answered */
		corsHandler(this: Gateway, _settings: object, req: Request, res: Response): boolean {
			if (req.method !== "OPTIONS") return false;
			const methods = this.table.allow(req.parsedUrl);
			sendResponse(this, req, res, {
				status: 204,
				headers: { Allow: methods.join(", "), ...this.cors.preflight(req.headers.origin, methods) },
			});
			return true;
		},
		/** In place of the call: where an answer is kept, there is none. @returns that the request is answered */
		async callAction(
			this: Gateway,
			_route: object,
			_action: string,
			req: Request,
			res: Response,
		): Promise<boolean> {
			await respond(this, req, res);
			return true;
		},
		errorHandler(this: Gateway, req: Request, res: Response, error: unknown) {
			try {
				sendProblem(this, req, res, error);
			} catch (failure) {
				this.logger.error("A request could not be answered", {
					request_id: req.id,
					error: failure,
				});
				res.destroy();
			}
		},
	},
} as unknown as ServiceSchema;

/** When the other services of this node are there: from then on no route is missing. */
function neighboursStarted(broker: ServiceBroker): Promise<void> {
	return new Promise((resolve) => {
		const look = () => {
			if (
				!broker.services.every(
					({ name, fullName }) =>
						name === "api" || broker.registry.hasService(fullName, broker.nodeID),
				)
			)
				return;
			broker.localBus.off("$services.changed", look);
			resolve();
		};
		broker.localBus.on("$services.changed", look);
		look();
	});
}

/** No new connections; streams end, everything else is answered. */
async function close({ listener, eventStreams, broker }: Gateway): Promise<void> {
	const closed = listener.close(broker.options.tracking?.shutdownTimeout ?? 5000);
	await eventStreams.close();
	await closed;
}
