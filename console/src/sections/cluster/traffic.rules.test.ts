import { expect, test } from "@jest/globals";
import {
	compare,
	httpTraffic,
	type Node,
	type Nodes,
	servicesOf,
	trafficOf,
} from "./traffic.rules.ts";

const bounds = [0.01, 0.1, 1];
const node = (overrides: Partial<Node> = {}): Node => ({
	id: "a",
	hostname: "host",
	services: ["orders"],
	responding: true,
	restarts: 0,
	version: "1",
	started_at: "2030-01-01T00:00:00.000Z",
	memory_mb: 100,
	cpu_seconds: 10,
	event_loop_delay_ms: 1,
	calls: [
		{ service: "orders", ok: 80, refused: 10, failed: 10, seconds: 5, buckets: [50, 50, 0, 0] },
	],
	http: null,
	breakers: [],
	...overrides,
});
const snapshot = (time: string, ...nodes: Node[]): Nodes => ({
	time: `2030-01-01T${time}.000Z`,
	bucket_bounds: bounds,
	nodes,
});

test("the traffic of a node is the difference of two snapshots by their distance in time", () => {
	const before = snapshot("00:01:00", node());
	const calls = [
		{ service: "orders", ok: 98, refused: 11, failed: 11, seconds: 6, buckets: [60, 50, 10, 0] },
	];
	const [active] = compare(snapshot("00:01:10", node({ calls, cpu_seconds: 15 })), before);
	expect(active).toMatchObject({
		period: 10,
		cpu: 0.5,
		traffic: { perSecond: 2, failed: 0.05, mean: 0.05 },
	});
	// 19 of 20 durations: 10 in the first bucket, and 9 of the 10 between 0.1 and 1 s.
	expect(active!.traffic.p95).toBeCloseTo(0.91);
});

test("a new or restarted process is compared with its start", () => {
	const restarted = node({ started_at: "2030-01-01T00:01:00.000Z" });
	for (const before of [undefined, snapshot("00:01:30", node())])
		expect(compare(snapshot("00:01:50", restarted), before)[0]).toMatchObject({
			period: 50,
			traffic: { perSecond: 2 },
			cpu: 0.2,
		});
});

test("a period without traffic has no durations", () => {
	const before = snapshot("00:01:00", node());
	const [active] = compare(snapshot("00:01:10", node()), before);
	expect(active!.traffic).toEqual({ perSecond: 0, failed: null, mean: null, p95: null });
});

test("a node that does not respond has no traffic", () => {
	const silent = node({ responding: false, started_at: null, cpu_seconds: null, calls: [] });
	expect(compare(snapshot("00:01:10", silent), undefined)[0]).toMatchObject({
		cpu: null,
		traffic: { perSecond: 0 },
	});
});

test("the traffic of a service and of all gateways is the sum of their nodes", () => {
	const http = { requests: 50, failed: 5, seconds: 1, buckets: [50, 0, 0, 0] };
	const nodes = compare(
		snapshot("00:00:10", node({ http }), node({ id: "b", http, services: ["api", "orders"] })),
		undefined,
	);
	expect(servicesOf(nodes, bounds)).toMatchObject([
		{ service: "api", nodes: 1, traffic: { perSecond: 0 } },
		{ service: "orders", nodes: 2, traffic: { perSecond: 20, failed: 0.1, mean: 0.05 } },
	]);
	expect(httpTraffic(nodes, bounds)).toMatchObject({ perSecond: 10, failed: 0.1, mean: 0.02 });
});

test("a percentile above all bounds is the last bound", () => {
	const counters = { total: 10, failed: 0, seconds: 100, buckets: [0, 0, 0, 10] };
	expect(trafficOf(counters, 1, bounds).p95).toBe(1);
});
