import type { ServiceBroker } from "moleculer";
import { envOf } from "../../lib/env.ts";
import { failingServices } from "../../lib/probe.ts";
import { version } from "../../lib/version.ts";
import { asyncapi, eventServices } from "./asyncapi.ts";
import { type Gateway, type Handler, send } from "./exchange.ts";
import { healthCheck } from "./health.ts";

type Page = (gateway: Gateway) => Promise<{ status: number; content: object }>;

/** The addresses around the API. @param names the services that the shop consists of */
export function pages(broker: ServiceBroker, names: readonly string[]): Record<string, Handler> {
	const health = healthCheck(broker, names);
	return {
		"GET /": page(async () => ({ status: 200, content: { message: "The shop's API is running", docs: "/docs" } })),
		"GET /asyncapi.json": page(async () => ({
			status: 200,
			content: asyncapi(eventServices(broker), { version, namespace: envOf(broker).NAMESPACE }),
		})),
		"GET /health": page(async () => ({ status: 200, content: await health() })),
		"GET /health/live": page(async () => ({ status: 200, content: { status: "alive" } })),
		"GET /health/ready": page(readiness),
	};
}

/** Whether requests should be sent here: no while this node starts or stops, or while a database of its services does not answer. */
const readiness: Page = async ({ broker, listener }) => {
	const failing = await failingServices(broker);
	// broker.started turns false as soon as the broker is told to stop, before the listener closes.
	const ready = broker.started && !listener.closing && failing.length === 0;
	return { status: ready ? 200 : 503, content: { status: ready ? "ready" : "not ready", failing } };
};

const page = (content: Page): Handler =>
	function (req, res, next) {
		content(this)
			.then((found) =>
				send(this, req, res, {
					status: found.status,
					headers: { "Cache-Control": "no-store" },
					body: JSON.stringify(found.content),
				}),
			)
			.catch(next);
	};
