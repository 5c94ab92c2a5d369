import { afterEach, expect, jest, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { eventually } from "../test/support/eventually.ts";
import { disconnectDeadNodes } from "./dead-nodes.ts";
import { fakeNodes } from "./test/fake-nodes.ts";

const nodes = fakeNodes();
afterEach(() => void jest.useRealTimers());

test("a silent node is unavailable within five seconds, until its next heartbeat", async () => {
	const [observer, silent] = [await nodes.start(), await nodes.start()];
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
