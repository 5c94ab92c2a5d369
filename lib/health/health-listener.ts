import { createServer } from "node:http";
import type { ServiceBroker } from "moleculer";
import { metricsOf } from "../observability/metrics/registry.ts";
import { watchRuntime } from "../observability/metrics/runtime.ts";
import { StartError } from "../process/start-error.ts";
import { renderNodeMetrics } from "./node-metrics.ts";
import { failingDependencies } from "./probes.ts";

type Page = (broker: ServiceBroker) => Promise<{ status: number; content: object | string }>;

const pages: Record<string, Page> = {
	"/health/live": async () => ({ status: 200, content: { status: "alive" } }),
	"/health/ready": async (broker) => {
		const failing = await failingDependencies(broker);
		const ready = broker.started && failing.length === 0;
		return {
			status: ready ? 200 : 503,
			content: { status: ready ? "ready" : "not ready", failing },
		};
	},
	"/metrics": async (broker) => ({ status: 200, content: await renderNodeMetrics(broker) }),
};

/**
 * Answers those who start, watch and end this node, whatever services it runs: /health/live while the process can answer at all,
 * /health/ready from when its services have started until it is told to stop, as long as all that it stands on answers; /metrics with its figures for Prometheus.
 * @returns what closes it
 * @throws StartError if the address cannot be listened on
 */
export async function openHealthListener(
	broker: ServiceBroker,
	host: string,
	port: number,
): Promise<() => void> {
	/** A page that fails is a response as well: a rejection would end the process, and a silent connection hold up the prober. */
	async function load(page: Page): ReturnType<Page> {
		try {
			return await page(broker);
		} catch (error) {
			broker.logger.error("A page of the health listener failed", { error });
			return { status: 500, content: { status: "failed" } };
		}
	}
	const server = createServer(async (req, res) => {
		const page =
			req.method === "GET" && Object.hasOwn(pages, req.url!) ? pages[req.url!] : undefined;
		const { status, content } = page
			? await load(page)
			: { status: 404, content: { status: "not found" } };
		const [type, body] =
			typeof content === "string"
				? ["text/plain; version=0.0.4", content]
				: ["application/json", JSON.stringify(content)];
		res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
	});
	await new Promise<void>((resolve, reject) => {
		const refuse = ({ message }: Error) =>
			reject(
				new StartError(
					`HEALTH_PORT ${port} of ${host} cannot be listened on (${message}): set it to another port`,
				),
			);
		server.once("error", refuse).listen(port, host, resolve);
	});
	const unwatch = watchRuntime(metricsOf(broker));
	return () => {
		unwatch();
		server.close();
		server.closeAllConnections();
	};
}
