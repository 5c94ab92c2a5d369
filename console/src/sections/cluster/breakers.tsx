import { type Column, Table } from "../../components/table.tsx";
import { StatusBadge } from "../../components/values.tsx";
import type { ActiveNode } from "./traffic.rules.ts";

interface Breaker {
	readonly caller: string;
	readonly action: string;
	readonly node: string;
	readonly state: string;
}
const columns: readonly Column<Breaker>[] = [
	{ title: "Action", cell: ({ action }) => action },
	{ title: "State", cell: ({ state }) => <StatusBadge status={state} /> },
	{ title: "Of node", cell: ({ caller }) => caller },
	{ title: "To node", cell: ({ node }) => node },
];

/** Circuit breakers that are not closed. */
export function Breakers({ nodes }: { nodes: readonly ActiveNode[] }) {
	const rows = nodes.flatMap(({ id, breakers }) =>
		breakers.map((breaker) => ({ caller: id, ...breaker })),
	);
	return (
		<Table
			label="Circuit breakers"
			rows={rows}
			columns={columns}
			keyOf={({ caller, action, node }) => `${caller} ${action} ${node}`}
			empty="All circuit breakers are closed."
		/>
	);
}
