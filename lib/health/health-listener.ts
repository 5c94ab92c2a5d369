import { createServer } from "node:http";
import type { ServiceBroker } from "moleculer";
import { RETRY_AFTER_SECONDS } from "../contracts/errors.ts";
import { metricsOf } from "../observability/metrics/registry.ts";
import { watchRuntime } from "../observability/metrics/runtime.ts";
import { StartError } from "../process/start-error.ts";
import { renderNodeMetrics } from "./node-metrics.ts";
import { checkDependencies, readinessResponse } from "./probes.ts";

type Endpoint = (broker: ServiceBroker) => Promise<{ status: number; content: object | string }>;

const endpoints: Record<string, Endpoint> = {
	"/health/live": async () => ({ status: 200, content: { status: "alive" } }),
	"/health/ready": async (broker) =>
		readinessResponse("ready", await checkDependencies(broker), broker.started),
	"/health/serving": async (broker) =>
		readinessResponse("serving", await checkDependencies(broker), broker.started),
	"/metrics": async (broker) => ({ status: 200, content: await renderNodeMetrics(broker) }),
};

/**
 * Serves the health endpoints of a node, independent of its services. /health/live succeeds while
 * the process responds. /health/ready succeeds between start and stop of the services, if all
 * dependencies respond, and /health/serving also if only the cache does not. /metrics returns the
 * metrics of the node in the format of Prometheus.
 *
 * @returns function that closes the listener
 * @throws StartError if it cannot listen on the address
 */
export async function openHealthListener(
	broker: ServiceBroker,
	host: string,
	port: number,
): Promise<() => void> {
	/** Converts a failure into a response: a rejection would end the process. */
	async function respond(endpoint: Endpoint): ReturnType<Endpoint> {
		try {
			return await endpoint(broker);
		} catch (error) {
			broker.logger.error("An endpoint of the health listener failed", { error });
			return { status: 500, content: { status: "failed" } };
		}
	}
	const server = createServer(async (req, res) => {
		const endpoint =
			req.method === "GET" && Object.hasOwn(endpoints, req.url!) ? endpoints[req.url!] : undefined;
		const { status, content } = endpoint
			? await respond(endpoint)
			: { status: 404, content: { status: "not found" } };
		const [type, body] =
			typeof content === "string"
				? ["text/plain; version=0.0.4", content]
				: ["application/json", JSON.stringify(content)];
		const retryAfter = status === 503 ? { "Retry-After": RETRY_AFTER_SECONDS } : {};
		const headers = { "Content-Type": type, "Cache-Control": "no-store", ...retryAfter };
		res.writeHead(status, headers).end(body);
	});
	await new Promise<void>((resolve, reject) => {
		const fail = ({ message }: Error) =>
			reject(
				new StartError(
					`Cannot listen on HEALTH_PORT ${port} of ${host} (${message}): set it to another port`,
				),
			);
		server.once("error", fail).listen(port, host, resolve);
	});
	const stopWatching = watchRuntime(metricsOf(broker));
	return () => {
		stopWatching();
		server.close();
		server.closeAllConnections();
	};
}
