import { afterEach, expect, jest, test } from "@jest/globals";
import { fakeNodes } from "../../middlewares/test/fake-nodes.ts";
import { eventually } from "../../test/support/eventually.ts";
import { Heartbeats } from "./heartbeats.ts";

const nodes = fakeNodes();
afterEach(() => {
	jest.restoreAllMocks();
	jest.useRealTimers();
});

test("a silent node is unavailable until its next heartbeat", async () => {
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
	await eventually(() => sees(false));
	discoverer.startHeartbeatTimers();
	await eventually(() => sees(true));
});

/** Heartbeats on a fake clock that starts `ms` after a full second. */
function startOnFakeClock(ms: number) {
	jest.useFakeTimers();
	let now = ms;
	jest.spyOn(Date, "now").mockImplementation(() => now);
	jest.spyOn(performance, "now").mockImplementation(() => now);
	const heartbeats = new Heartbeats();
	const beats: number[] = [];
	jest.spyOn(heartbeats, "beat").mockImplementation(async () => void beats.push(now));
	const check = jest.spyOn(heartbeats, "checkRemoteNodes").mockReturnValue();
	const clean = jest.spyOn(heartbeats, "checkOfflineNodes").mockReturnValue();
	heartbeats.startHeartbeatTimers();
	const advance = (by: number) => {
		for (const end = now + by; now < end; ) {
			now += 10;
			jest.advanceTimersByTime(10);
		}
	};
	const stall = (by: number) => {
		now += by;
	};
	return { heartbeats, beats, check, clean, advance, stall };
}

test("a node sends a heartbeat at each full second", () => {
	const { heartbeats, beats, clean, advance } = startOnFakeClock(10_260);
	advance(3000);
	expect(beats.map((at) => Math.round(at / 100) / 10)).toEqual([11, 12, 13]);
	advance(60_000);
	expect(beats).toHaveLength(63);
	expect(clean).toHaveBeenCalledTimes(1);
	heartbeats.stopHeartbeatTimers();
	advance(3000);
	expect(beats).toHaveLength(63);
});

test("a node that stalled sends a heartbeat at once and skips one check", () => {
	const { heartbeats, beats, check, advance, stall } = startOnFakeClock(20_000);
	const in500Ms = () => {
		const before = [check.mock.calls.length, beats.length];
		advance(500);
		return { checks: check.mock.calls.length - before[0]!, beats: beats.length - before[1]! };
	};
	expect([in500Ms(), in500Ms(), in500Ms()].map(({ checks }) => checks)).toEqual([1, 1, 1]);
	stall(4000);
	expect(in500Ms()).toEqual({ checks: 0, beats: 1 });
	expect(in500Ms().checks).toBe(1);
	heartbeats.stopHeartbeatTimers();
	expect(in500Ms()).toEqual({ checks: 0, beats: 0 });
});
