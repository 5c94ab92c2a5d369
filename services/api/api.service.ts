import { join } from "node:path";
import type { ServiceSchema } from "moleculer";
import ApiService from "moleculer-web";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import { catalogue } from "../../lib/observability/metrics/catalogue.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { accessTokenVerifier } from "../../lib/security/access-token.ts";
import { REVOKED } from "../../lib/security/revocations.ts";
import { envOf } from "../../lib/settings/env.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { AccessLog } from "./http/access-log.ts";
import { admit } from "./http/admission.ts";
import { cors } from "./http/cors.ts";
import {
	type Gateway,
	type Request,
	type Response,
	sendResponse,
	type Target,
} from "./http/exchange.ts";
import { sendProblem } from "./http/problem-details.ts";
import { readTarget } from "./http/request-target.ts";
import { trace } from "./http/request-traces.ts";
import { respond, sizeOf } from "./http/response.ts";
import { HttpServer } from "./http/server.ts";
import { closeBeforeServicesStop, closeGateway } from "./http/shutdown.ts";
import { localServicesStarted } from "./routing/local-services.ts";
import { Routes } from "./routing/routes.ts";
import { identify, permit } from "./security/access.ts";
import { authenticator } from "./security/authenticate.ts";
import { rateLimits } from "./security/rate-limits.ts";
import { Revocations } from "./security/revocations.ts";
import { EventStreams } from "./sse/event-streams.ts";
import { systemEndpoints } from "./system-endpoints.ts";
import { Downloads } from "./transfers/downloads.ts";
import { Uploads } from "./transfers/uploads.ts";

/** Names of the shop's services, the only information about them in the gateway's code. */
const names = serviceNames(join(import.meta.dirname, ".."));

/**
 * The gateway: moleculer-web and its hooks. `admit` handles a request before moleculer-web does, in
 * order to count it. An overridden method states the measurement or fault that requires it.
 */
export default {
	name: "api",
	mixins: [ApiService],
	settings: {
		// HttpServer listens instead: moleculer-web ends the process if the port is in use, and does
		// not wait for requests in flight when it stops.
		server: false,
		rootCallOptions(options: { requestID?: string }) {
			// Set in `onBeforeCall` instead. moleculer-web would call setHeader at once, after which
			// node:http merges all headers of `writeHead` one by one.
			options.requestID = "";
		},
		onError(this: Gateway, req: Request, res: Response, error: unknown) {
			sendProblem(this, req, res, error);
		},
		routes: [
			{
				path: "/",
				autoAliases: true,
				mergeParams: false,
				// body-parser ignores other media types instead of rejecting them, and parses the body
				// before authentication. `http/body.ts` also limits depth and number of fields.
				bodyParsers: false,
				logging: false,
				authentication: true,
				authorization: true,
				onBeforeCall(
					this: Gateway,
					ctx: Request["$ctx"],
					_route: object,
					req: Request,
					res: Response,
					{ contract }: Target,
				) {
					ctx.requestID = req.id;
					if (contract) trace(this, ctx, req, res, contract);
				},
			},
		],
		logRouteRegistration: null,
		debounceTime: 100,
		// Functions cannot be sent to other nodes.
		$secureSettings: ["routes", "rootCallOptions", "onError"],
	},
	// Every node could call them, and listAliases has a route.
	actions: { listAliases: false, addRoute: false, removeRoute: false },

	created(this: Gateway) {
		const env = envOf(this.broker);
		const { JWT_SECRET, JWT_SECRET_PREVIOUS, CORS_ORIGINS, TRUST_PROXY } = env;
		if (!JWT_SECRET)
			throw new StartError("JWT_SECRET is not set: the gateway needs it to verify access tokens");
		const metrics = metricsOf(this.broker);
		this.revocations = new Revocations(this.broker, this.logger);
		this.verifyToken = authenticator(
			accessTokenVerifier(JWT_SECRET, JWT_SECRET_PREVIOUS),
			this.revocations,
		);
		this.proxies = TRUST_PROXY;
		this.tracer = tracingOf(this.broker)?.of("api");
		this.cors = cors(CORS_ORIGINS);
		this.rateLimits = rateLimits(this.broker, this.logger, env);
		this.eventStreams = new EventStreams(this);
		this.uploads = new Uploads(this);
		this.downloads = new Downloads(this);
		this.responseCache = new ValidatedCache(cacheOf(this.broker), sizeOf, { metrics });
		this.table = new Routes(names, systemEndpoints(this.broker, names), this.routes[0]!);
		this.accessLog = new AccessLog(this.broker);
		this.listener = new HttpServer(
			(req, res) => void admit(this, req as Request, res as Response),
			(req, res) => this.accessLog.record(req as Request, res as Response),
			(req, error) =>
				this.logger.error("A response failed", { request_id: (req as Request).id, error }),
		);
		metrics.collect((report) => report(catalogue.requestsInFlight, this.listener.inFlight));
		this.server = this.listener.server;
		closeBeforeServicesStop(this);
	},

	async started(this: Gateway) {
		const { HOST, PORT } = envOf(this.broker);
		await localServicesStarted(this.broker);
		this.regenerateAutoAliases();
		await this.revocations.start();
		await this.listener.open(HOST, PORT);
		this.logger.info(`The gateway listens on http://${HOST}:${PORT}`);
	},

	async stopped(this: Gateway) {
		await closeGateway(this);
		await this.revocations.stop();
		this.rateLimits.close();
	},

	events: {
		[REVOKED](this: Gateway) {
			this.revocations.wake();
		},
	},

	methods: {
		/** Hook of moleculer-web. `admit` has verified the token, because users are counted by ID. */
		authenticate(_ctx: Request["$ctx"], _route: object, req: Request, res: Response, to: Target) {
			return identify(req, res, to);
		},
		/** Hook of moleculer-web. */
		authorize(ctx: Request["$ctx"], _route: object, req: Request, _res: Response, to: Target) {
			permit(ctx, req, to);
		},
		/**
		 * Overridden: routes come from contracts, and a route whose service is gone remains, so that it
		 * responds with 503 instead of 404. moleculer-web calls this method, debounced, when services
		 * change, and once before `created`.
		 */
		regenerateAutoAliases(this: Gateway) {
			for (const problem of this.table?.update(this.broker) ?? []) this.logger.error(problem);
		},
		/**
		 * Overridden: moleculer-web parses the query of every request, although `readParameters` does
		 * when an action is called (6 µs for two parameters), and does not accept absolute targets.
		 */
		parseQueryString(req: Request) {
			return { url: readTarget(req), query: {} };
		},
		/** Overridden: moleculer-web scans its aliases, see docs/adr/0022-gateway-router.md. */
		resolveAlias(this: Gateway, path: string, method: string | undefined) {
			const { target, params } = this.table.find(method, path);
			return { alias: target, params };
		},
		/**
		 * Overridden: moleculer-web rejects other origins with 403, including same-origin POSTs,
		 * accepts an origin that is a substring of an allowed one, sends no CORS headers with 404 and
		 * 405, and has one list of methods for all paths.
		 * @returns whether the response has been sent
		 */
		corsHandler(this: Gateway, _settings: object, req: Request, res: Response): boolean {
			if (req.method !== "OPTIONS") return false;
			const methods = this.table.allow(req.parsedUrl);
			sendResponse(this, req, res, {
				status: 204,
				headers: {
					Allow: methods.join(", "),
					...this.cors.preflight(req.headers.origin, methods, this.table.tokenHeaders),
				},
			});
			return true;
		},
		/**
		 * Overridden: a response from the cache needs neither parameters nor a call, see
		 * docs/adr/0016-validated-response-cache-in-the-gateway.md for the measurement.
		 * @returns that the response has been sent
		 */
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
		/**
		 * Overridden: moleculer-web also logs each 5xx, with the error's data unredacted. The access
		 * log records it once.
		 */
		errorHandler(this: Gateway, req: Request, res: Response, error: unknown) {
			try {
				this.sendError(req, res, error);
			} catch (failure) {
				this.logger.error("An error response could not be sent", {
					request_id: req.id,
					error: failure,
				});
				res.destroy();
			}
		},
	},
} as unknown as ServiceSchema;
