import type { ServiceBroker } from "moleculer";
import type { eventActions } from "../contracts/event-actions.ts";
import type { Value } from "../contracts/schema.ts";
import { catalogue } from "../observability/metrics/catalogue.ts";
import { type Metric, metricsOf, type ReportMetric } from "../observability/metrics/registry.ts";
import { version } from "../process/version.ts";
import { allBreakers, type Breaker } from "../resilience/circuit-breakers.ts";
import { probeServers } from "./probes.ts";

type EventFigures = Value<(typeof eventActions)["eventFigures"]["returns"]>;
const EVENT_GAUGES: Readonly<Record<keyof EventFigures, Metric>> = {
	backlog: catalogue.outboxBacklog,
	lag_seconds: catalogue.outboxLag,
	retries: catalogue.eventRetries,
	dead_letters: catalogue.deadLetters,
	pending: catalogue.pendingMessages,
	unread_share: catalogue.unreadShare,
};
const BREAKER_STATES: Readonly<Record<Breaker["state"], number>> = {
	closed: 0,
	"half-open": 1,
	open: 2,
};

/** Metrics of this node in the text format of Prometheus. Omits collectors that fail. */
export function renderNodeMetrics(broker: ServiceBroker): Promise<string> {
	const collectors = [reportNode, reportBreakers, reportServers, reportEvents].map(
		(collect) => (report: ReportMetric) => collect(broker, report),
	);
	return metricsOf(broker).text(collectors);
}

function reportNode({ nodeID, services }: ServiceBroker, report: ReportMetric): void {
	const names = services.map(({ name }) => name).filter((name) => !name.startsWith("$"));
	report(catalogue.nodeInfo, 1, version, nodeID, names.sort().join(","));
}

function reportBreakers(broker: ServiceBroker, report: ReportMetric): void {
	for (const { action, node, state } of allBreakers(broker))
		report(catalogue.breakers, BREAKER_STATES[state], action, node);
}

async function reportServers(broker: ServiceBroker, report: ReportMetric): Promise<void> {
	for (const [server, up] of await probeServers(broker))
		report(catalogue.serverUp, up ? 1 : 0, server);
}

async function reportEvents(broker: ServiceBroker, report: ReportMetric): Promise<void> {
	const names = broker.services
		.map(({ name }) => name)
		.filter((name) => broker.registry.actions.isAvailable(`${name}.eventFigures`));
	await Promise.allSettled(
		names.map(async (service) => {
			const figures = await broker.call<EventFigures, object>(
				`${service}.eventFigures`,
				{},
				{ nodeID: broker.nodeID, timeout: 2000 },
			);
			for (const [field, metric] of Object.entries(EVENT_GAUGES))
				report(metric, figures[field as keyof EventFigures], service);
		}),
	);
}
