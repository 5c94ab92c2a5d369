import type { ServiceBroker } from "moleculer";
import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../../services/orders/orders.contract.ts";

/** The cluster as a command sees it. */
export interface Cluster {
	/** Typed by the contracts. */
	readonly call: Call;
	/** Asks one service for what every service with events can be asked; `node` asks that very node. */
	ask<R>(action: string, params: object, node?: string): Promise<R>;
	/** The services that have this action, those of one name only when it is given. */
	having(action: string, only?: string): string[];
	nodes(): string[];
}

export function clusterOf(broker: ServiceBroker): Cluster {
	const call = broker.call.bind(broker);
	return {
		call: call as unknown as Call,
		ask: (action, params, nodeID) =>
			call(action, params, nodeID ? { nodeID } : {}) as Promise<never>,
		having(action, only) {
			const names = broker.registry.getActionList({ onlyAvailable: true }).map(({ name }) => name);
			const services = names
				.filter((name) => name.endsWith(`.${action}`))
				.map((name) => name.slice(0, -action.length - 1));
			if (only && !services.includes(only))
				throw new Error(`No service of the name ${only} that has ${action} is there`);
			return [...new Set(only ? [only] : services)].sort();
		},
		nodes: () => broker.registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id),
	};
}

/** Rows under each other, every column as wide as its widest text. */
export function columns(rows: readonly (readonly (string | number)[])[]): string {
	const widths = (rows[0] ?? []).map((_, i) =>
		Math.max(...rows.map((row) => String(row[i]).length)),
	);
	return rows
		.map((row) =>
			row
				.map((text, i) => String(text).padEnd(widths[i]!))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}
export const json = (value: unknown): string => JSON.stringify(value, null, 2);
