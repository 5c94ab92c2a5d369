import type { ServiceBroker } from "moleculer";
import type { Call } from "../../lib/contracts/contract.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import type {} from "../../services/orders/orders.contract.ts";
import type { Operation } from "./load.ts";
import type { Scenario } from "./scenarios.ts";

/** Joins a shop's cluster as a node, to call actions that have no route. */
export async function joinCluster(
	settings: Readonly<Record<string, string>>,
): Promise<{ call: Call; stop(): Promise<void> }> {
	const env = readEnv({ ...settings, NODEID: "bench", LOGLEVEL: "fatal" });
	const broker: ServiceBroker = createNode({ ...brokerOptions(env), logger: false }, env, []);
	await broker.start();
	await broker.waitForServices(
		["orders", "inventory", "payments", "shipping", "notifications"],
		30_000,
	);
	return { call: broker.call.bind(broker) as Call, stop: () => broker.stop() };
}

/** Scenario that audits the newest order. `beforeNewest` returns the id of the order before it. */
export const auditScenario = (call: Call, beforeNewest: () => Promise<string>): Scenario => ({
	description: "audit of one order",
	operation: (): Operation => {
		const from = beforeNewest();
		return async () => {
			const { checked, violations } = await call("orders.audit", {
				after: `orders:${await from}`,
				quiet: 0,
				recheck: 0,
			});
			if (checked !== 1 || violations.length > 0)
				throw new Error(`${checked} orders audited, ${violations.length} violations`);
			return { status: 200, body: Buffer.alloc(0) };
		};
	},
});
