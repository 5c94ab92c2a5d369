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

/** nginx's number for a client that did not wait for its answer. */
const GONE = 499;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/** Of requests that lead nowhere. */
const NOWHERE = {};
const MESSAGES = {
	info: "A request was answered",
	warn: "A request was refused",
	error: "A request failed",
};

/** The metrics of one method of one route. */
interface Counted {
	readonly seconds: Histogram;
	readonly byStatus: Map<number, Counter>;
}

/** Notes each request as it ends, once: in the metrics of its route, and as a line in the log. A failure is told there, with its stack if it is ours. */
export class AccessLog {
	readonly #metrics: Metrics;
	readonly #log: Log | undefined;
	readonly #least: "all" | "errors" | "off";
	readonly #counted = new WeakMap<object, Map<string, Counted>>();

	constructor(broker: ServiceBroker) {
		this.#metrics = metricsOf(broker);
		this.#log = logOf(broker);
		this.#least = envOf(broker).ACCESS_LOG;
	}

	record(req: Request, res: Response): void {
		const status = res.headersSent ? res.statusCode : GONE;
		const ms = performance.now() - req.startedAt;
		const { seconds, byStatus } = this.#countedOf(req.$alias, req.method!);
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
		// How long a stream stays open says nothing about how long anything takes.
		if (!req.$alias?.contract?.stream) seconds.observe(ms / 1000);
		this.#write(req, status, ms);
	}

	#countedOf(target: Target | undefined, method: string): Counted {
		const key = target ?? NOWHERE;
		const methods = this.#counted.get(key) ?? new Map<string, Counted>();
		this.#counted.set(key, methods);
		const found = methods.get(method) ?? {
			seconds: this.#metrics.histogram(catalogue.requestSeconds, label(method), routeOf(target)),
			byStatus: new Map(),
		};
		methods.set(method, found);
		return found;
	}

	/** By hand, because there are so many: what needs no escapes is not looked at. */
	#write(req: Request, status: number, ms: number): void {
		const level = status < 400 ? "info" : status < 500 ? "warn" : "error";
		if (
			!this.#log?.logs(level) ||
			(this.#least !== "all" && status < (this.#least === "errors" ? 400 : 500))
		)
			return;
		const { failure } = req;
		const user = req.$ctx?.meta.user?.id;
		const trace = traceIdOf(req.$ctx?.headers.traceparent);
		let line = `{"level":"${level}","timestamp":"${timestamp()}","logger":"access","service":"api","message":"${MESSAGES[level]}"`;
		line += `,"request_id":"${req.id}","method":"${label(req.method!)}","path":${JSON.stringify(redactText(req.parsedUrl ?? ""))}`;
		line += `,"status":${status},"duration_ms":${ms.toFixed(3)}`;
		if (user) line += `,"user_id":"${user}"`;
		if (trace) line += `,"trace_id":"${trace}"`;
		if (failure) line += `,"code":"${failure.code}"`;
		if (failure && level === "error")
			line += `,"error":${JSON.stringify(redact(failure.error) ?? null)}`;
		this.#log.write(`${line}}\n`);
	}
}

/** Never the path itself: there is no end to them. */
const routeOf = (target: Target | undefined): string => target?.pattern ?? "none";
const label = (method: string): string => (METHODS.has(method) ? method : "other");
