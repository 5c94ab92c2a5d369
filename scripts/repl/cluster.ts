import type { CallingOptions, ServiceBroker } from "moleculer";
import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../../services/orders/orders.contract.ts";
import type { Operator } from "./operator.ts";

interface ClusterNode {
	readonly id: string;
	readonly services: readonly string[];
	readonly hostname: string;
	readonly addresses: readonly string[];
}
interface ClusterAction {
	readonly name: string;
	/** Number of nodes with this action. */
	readonly nodes: number;
	readonly access: string;
	readonly params: readonly string[];
}

/** The cluster as a command sees it. All calls of one command have the same request id. */
export interface Cluster {
	/** Typed by the contracts. */
	readonly call: Call;
	/** Calls an action that is only known at run time; `options.nodeID` selects a node. */
	callAny<R>(action: string, params: object, options?: CallingOptions): Promise<R>;
	/** Names of the services that have this action; restricted to `only` if given. */
	servicesWith(action: string, only?: string): string[];
	nodes(): ClusterNode[];
	actions(): ClusterAction[];
	/** Performs all further calls as this user, or as an administrator if undefined. */
	actAs(email: string | undefined): Promise<void>;
}

interface RegistryNode {
	readonly id: string;
	readonly hostname?: string | null;
	readonly ipList?: readonly string[];
	readonly services?: readonly { readonly name: string }[];
}
interface RegistryAction {
	readonly name: string;
	readonly count: number;
	readonly action?: { readonly auth?: string; readonly params?: object };
}

export function openCluster(
	broker: ServiceBroker,
	operator: Operator,
	command: string,
	about: object = {},
): Cluster {
	const call = operator.begin(command, about);
	const { registry } = broker;
	const available = () =>
		registry.getActionList({ onlyAvailable: true }) as unknown as RegistryAction[];
	return {
		call: call as unknown as Call,
		callAny: (action, params, options) => call(action, params, options) as Promise<never>,
		servicesWith(action, only) {
			const services = available()
				.filter(({ name }) => name.endsWith(`.${action}`))
				.map(({ name }) => name.slice(0, -action.length - 1));
			if (only && !services.includes(only))
				throw new Error(`No available service named ${only} has the action ${action}`);
			return [...new Set(only ? [only] : services)].sort();
		},
		nodes: () =>
			(
				registry.getNodeList({
					onlyAvailable: true,
					withServices: true,
				}) as unknown as RegistryNode[]
			)
				.map(({ id, hostname, ipList = [], services = [] }) => ({
					id,
					services: services
						.map(({ name }) => name)
						.filter((name) => !name.startsWith("$"))
						.sort(),
					hostname: hostname ?? "",
					addresses: ipList,
				}))
				.sort((a, b) => a.id.localeCompare(b.id)),
		actions: () =>
			available()
				.map(({ name, count, action }) => ({
					name,
					nodes: count,
					access: action?.auth ?? "",
					params: Object.keys(action?.params ?? {}).filter((param) => !param.startsWith("$$")),
				}))
				.sort((a, b) => a.name.localeCompare(b.name)),
		actAs: (email) => operator.switchTo(call, email),
	};
}
