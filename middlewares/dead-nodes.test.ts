import { afterEach, expect, jest, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { eventually } from "../test/support/eventually.ts";
import { disconnectDeadNodes } from "./dead-nodes.ts";

const brokers: ServiceBroker[] = [];
async function startNode(): Promise<ServiceBroker> {
	const env = readEnv({ LOGLEVEL: "fatal", NODE_ENV: "test", DRAIN_MS: "1" });
	const broker = createNode({ ...brokerOptions(env), transporter: "Fake" }, env, []);
	brokers.push(broker);
	await broker.start();
	return broker;
}
afterEach(async () => {
	jest.useRealTimers();
	for (const broker of brokers.splice(0)) await broker.stop();
});

test("a silent node is unavailable within five seconds, and available again after a heartbeat", async () => {
	const [observer, silent] = [await startNode(), await startNode()];
	const sees = (available: boolean) =>
		expect(
			observer.registry.getNodeList({ onlyAvailable: true }).some(({ id }) => id === silent.nodeID),
		).toBe(available);
	await eventually(() => sees(true));
	const { discoverer } = silent.registry as unknown as {
		discoverer: { stopHeartbeatTimers(): void; startHeartbeatTimers(): void };
	};
	discoverer.stopHeartbeatTimers();
	await eventually(() => sees(false), 5);
	discoverer.startHeartbeatTimers();
	await eventually(() => sees(true));
});

test("a node skips one check after its event loop stalled", () => {
	jest.useFakeTimers();
	const checkRemoteNodes = jest.fn();
	const { started, stopping } = disconnectDeadNodes({
		registry: { discoverer: { checkRemoteNodes } },
	} as unknown as ServiceBroker) as unknown as {
		started(): void;
		stopping(): void;
	};
	started();
	const checksIn500Ms = () => {
		checkRemoteNodes.mockClear();
		jest.advanceTimersByTime(500);
		return checkRemoteNodes.mock.calls.length;
	};
	expect([checksIn500Ms(), checksIn500Ms(), checksIn500Ms()]).toEqual([1, 1, 1]);
	const stalledUntil = performance.now() + 4000;
	const clock = jest.spyOn(performance, "now").mockReturnValue(stalledUntil);
	expect(checksIn500Ms()).toBe(0);
	clock.mockReturnValue(stalledUntil + 500);
	expect(checksIn500Ms()).toBe(1);
	stopping();
	expect(checksIn500Ms()).toBe(0);
});
