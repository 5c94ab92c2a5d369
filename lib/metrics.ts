import type { ServiceBroker } from "moleculer";
import { type Breaker, breakersOf } from "./breakers.ts";
import type { eventActions } from "./event-actions.ts";
import type { Value } from "./schema.ts";

type EventFigures = Value<(typeof eventActions)["eventFigures"]["returns"]>;
interface Gauge {
	readonly name: string;
	readonly help: string;
	readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

const EVENT_GAUGES: Readonly<Record<keyof EventFigures, [name: string, help: string]>> = {
	backlog: ["shop_outbox_backlog_events", "Events in the outbox that were not handed over yet, counted up to 10000"],
	lag_seconds: ["shop_outbox_lag_seconds", "Age of the oldest event that was not handed over yet"],
	retries: ["shop_event_retries", "Events whose handler failed and that wait for another try"],
	dead_letters: ["shop_dead_letters", "Events that wait for somebody to retry or discard them"],
	pending: ["shop_consumer_pending_events", "Events in the stream that this service has still to take over"],
};
const BREAKER_STATES: Readonly<Record<Breaker["state"], number>> = { "half-open": 1, open: 2 };

/** The figures of this node, in Prometheus' text format (version 0.0.4). A service that cannot tell its own is left out. */
export async function metrics(broker: ServiceBroker): Promise<string> {
	const names = broker.services.map(({ name }) => name).filter((name) => broker.registry.actions.isAvailable(`${name}.eventFigures`));
	const told = await Promise.all(
		names.map(async (service) => {
			const asked = broker.call<EventFigures, object>(`${service}.eventFigures`, {}, { nodeID: broker.nodeID, timeout: 2000 });
			const figures = await asked.catch(() => undefined);
			return figures ? [{ service, figures }] : [];
		}),
	);
	const events = Object.entries(EVENT_GAUGES).map(([field, [name, help]]): Gauge => {
		const samples = told.flat().map(({ service, figures }) => ({ labels: { service }, value: figures[field as keyof EventFigures] }));
		return { name, help, samples };
	});
	const breakers: Gauge = {
		name: "shop_breaker_state",
		help: "Circuit breakers of this node that are not closed: 1 half-open, 2 open",
		samples: breakersOf(broker).map(({ action, node, state }) => ({ labels: { action, node }, value: BREAKER_STATES[state] })),
	};
	return [...events, breakers].map(text).join("");
}

function text({ name, help, samples }: Gauge): string {
	const lines = samples.map(({ labels, value }) => {
		const pairs = Object.entries(labels).map(([label, content]) => `${label}=${JSON.stringify(content)}`);
		return `${name}{${pairs.join(",")}} ${value}\n`;
	});
	return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
}
