import type { ServiceBroker } from "moleculer";
import { traceIdOf } from "../../../lib/context/traceparent.ts";
import { type Log, logOf, timestamp } from "../../../lib/observability/logging/log.ts";
import { redact, redactText } from "../../../lib/observability/logging/redact.ts";
import { catalogue } from "../../../lib/observability/metrics/catalogue.ts";
import {
	type Counter,
	type Histogram,
	type Metrics,
	metricsOf,
} from "../../../lib/observability/metrics/registry.ts";
import { envOf } from "../../../lib/settings/env.ts";
import type { Request, Response, Target } from "./exchange.ts";

/** nginx's status for a client that disconnected before the response. */
const CLIENT_CLOSED_REQUEST = 499;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/** Key of the metrics of requests without a route. */
const NO_ROUTE = {};
const MESSAGES = {
	info: "A request was completed",
	warn: "A request was rejected",
	error: "A request failed",
};

/** Metrics of one method of one route. */
interface RouteMetrics {
	readonly seconds: Histogram;
	readonly byStatus: Map<number, Counter>;
}

/**
 * Records each request once, when it ends: in the metrics of its route and as a line in the log.
 * Internal errors are logged with their stack.
 */
export class AccessLog {
	readonly #metrics: Metrics;
	readonly #log: Log | undefined;
	readonly #level: "all" | "errors" | "off";
	readonly #byRoute = new WeakMap<object, Map<string, RouteMetrics>>();

	constructor(broker: ServiceBroker) {
		this.#metrics = metricsOf(broker);
		this.#log = logOf(broker);
		this.#level = envOf(broker).ACCESS_LOG;
	}

	record(req: Request, res: Response): void {
		const status = res.headersSent ? res.statusCode : CLIENT_CLOSED_REQUEST;
		const ms = performance.now() - req.startedAt;
		const { seconds, byStatus } = this.#metricsOf(req.$alias, req.method!);
		const counter =
			byStatus.get(status) ??
			this.#metrics.counter(
				catalogue.requests,
				label(req.method!),
				routeOf(req.$alias),
				String(status),
			);
		byStatus.set(status, counter);
		counter.add();
		// The durations of event streams and files are not processing times.
		const { stream, upload, download } = req.$alias?.contract ?? {};
		if (!stream && !upload && !download) seconds.observe(ms / 1000);
		this.#write(req, status, ms);
	}

	#metricsOf(target: Target | undefined, method: string): RouteMetrics {
		const key = target ?? NO_ROUTE;
		const methods = this.#byRoute.get(key) ?? new Map<string, RouteMetrics>();
		this.#byRoute.set(key, methods);
		const found = methods.get(method) ?? {
			seconds: this.#metrics.histogram(catalogue.requestSeconds, label(method), routeOf(target)),
			byStatus: new Map(),
		};
		methods.set(method, found);
		return found;
	}

	/** Builds the line by hand, because serializing an object for each request is slower. */
	#write(req: Request, status: number, ms: number): void {
		const level = status < 400 ? "info" : status < 500 ? "warn" : "error";
		if (
			!this.#log?.logs(level) ||
			(this.#level !== "all" && status < (this.#level === "errors" ? 400 : 500))
		)
			return;
		const { failure } = req;
		const user = req.$ctx?.meta.user?.id;
		const trace = traceIdOf(req.$ctx?.headers.traceparent);
		let line = `{"level":"${level}","timestamp":"${timestamp()}","logger":"access"`;
		line += `,"service":"api","message":"${MESSAGES[level]}","request_id":"${req.id}"`;
		line += `,"method":"${label(req.method!)}"`;
		line += `,"path":${JSON.stringify(redactText(req.parsedUrl ?? ""))}`;
		line += `,"status":${status},"duration_ms":${ms.toFixed(3)}`;
		if (user) line += `,"user_id":"${user}"`;
		if (trace) line += `,"trace_id":"${trace}"`;
		if (failure) line += `,"code":"${failure.code}"`;
		if (failure && level === "error")
			line += `,"error":${JSON.stringify(redact(failure.error) ?? null)}`;
		this.#log.write(`${line}}\n`);
	}
}

/** Label of a route. Paths would create an unlimited number of time series. */
const routeOf = (target: Target | undefined): string => target?.pattern ?? "none";
const label = (method: string): string => (METHODS.has(method) ? method : "other");
