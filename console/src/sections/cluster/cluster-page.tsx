import { Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Badge, StatusBadge, Time } from "../../components/values.tsx";
import { formatNumber, formatRate, formatSeconds, formatShare } from "../../format.ts";
import { Breakers } from "./breakers.tsx";
import { type ActiveNode, type ActiveService, servicesOf, type Traffic } from "./traffic.rules.ts";
import { useCluster } from "./use-cluster.ts";

/**
 * The registry removes a dead node after up to four seconds, and a poll waits a second for a node
 * that does not respond: the page follows within five seconds.
 */
const POLL_MS = 500;

const orDash = (value: number | null, format: (value: number) => string) =>
	value === null ? "–" : format(value);

const trafficColumns = <T extends { readonly traffic: Traffic }>(): Column<T>[] => [
	{ title: "Calls", align: "end", cell: ({ traffic }) => formatRate(traffic.perSecond) },
	{ title: "Failed", align: "end", cell: ({ traffic }) => orDash(traffic.failed, formatShare) },
	{ title: "Mean", align: "end", cell: ({ traffic }) => orDash(traffic.mean, formatSeconds) },
	{ title: "95 % below", align: "end", cell: ({ traffic }) => orDash(traffic.p95, formatSeconds) },
];

const serviceColumns: readonly Column<ActiveService>[] = [
	{ title: "Service", cell: ({ service }) => service },
	{ title: "Nodes", align: "end", cell: ({ nodes }) => nodes },
	...trafficColumns<ActiveService>(),
];

const nodeColumns: readonly Column<ActiveNode>[] = [
	{ title: "Node", cell: ({ id }) => id },
	{
		title: "State",
		cell: ({ responding }) =>
			responding ? <StatusBadge status="up" /> : <Badge tone="bad">not responding</Badge>,
	},
	...trafficColumns<ActiveNode>(),
	{ title: "Processor", align: "end", cell: ({ cpu }) => orDash(cpu, formatShare) },
	{
		title: "Memory",
		align: "end",
		cell: ({ memory_mb }) => orDash(memory_mb, (value) => `${formatNumber(Math.round(value))} MB`),
	},
	{
		title: "Event loop delay",
		align: "end",
		cell: ({ event_loop_delay_ms }) =>
			orDash(event_loop_delay_ms, (value) => formatSeconds(value / 1000)),
	},
	{ title: "Restarts", align: "end", cell: ({ restarts }) => formatNumber(restarts) },
	{
		title: "Started",
		wide: true,
		cell: ({ started_at }) => (started_at ? <Time at={started_at} /> : "–"),
	},
	{ title: "Services", wide: true, cell: ({ services }) => services.join(", ") },
	{ title: "Version", wide: true, cell: ({ version }) => version ?? "–" },
];

/** Services and nodes with their traffic of the last ten seconds. */
export function ClusterPage() {
	const cluster = useCluster(POLL_MS);
	return (
		<Page title="Cluster">
			<Loaded of={cluster}>
				{({ nodes, bounds }) => (
					<>
						<Panel title="Nodes">
							<Table label="Nodes" rows={nodes} columns={nodeColumns} keyOf={({ id }) => id} />
						</Panel>
						<Panel title="Services">
							<Table
								label="Services"
								rows={servicesOf(nodes, bounds)}
								columns={serviceColumns}
								keyOf={({ service }) => service}
							/>
						</Panel>
						<Panel title="Circuit breakers">
							<Breakers nodes={nodes} />
						</Panel>
					</>
				)}
			</Loaded>
		</Page>
	);
}
