import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import { openBreakers } from "../../lib/resilience/circuit-breakers.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import { healthCheck } from "../../services/api/cluster-health.ts";
import type {} from "../../services/shipping/shipping.contract.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/processes.ts";
import { describeWith } from "../support/servers.ts";

/** Timeout of calls to a hanging node, in milliseconds. A busy node responds within this time. */
const HANG_TIMEOUT = 3000;
/**
 * Runs `act` while this node considers no other node dead, however late its heartbeats are.
 * Moleculer has no public access to the limit of a running node.
 */
async function withoutHeartbeatLimit(
	{ registry }: ServiceBroker,
	act: () => Promise<void>,
): Promise<void> {
	const { opts } = (registry as unknown as { discoverer: { opts: { heartbeatTimeout: number } } })
		.discoverer;
	const { heartbeatTimeout } = opts;
	opts.heartbeatTimeout = Number.POSITIVE_INFINITY;
	try {
		await act();
	} finally {
		opts.heartbeatTimeout = heartbeatTimeout;
	}
}

describeWith(["nats-server", "redis-server"], "outages in a cluster", () => {
	let cluster: Cluster;
	let steady: ClusterNode;
	let other: ClusterNode;
	let healthPort: number;
	/** Response of a health endpoint of `steady`. */
	async function probe(name: "ready" | "serving") {
		const response = await fetch(`http://127.0.0.1:${healthPort}/health/${name}`);
		const { failing } = (await response.json()) as { failing: string[] };
		return { status: response.status, failing };
	}
	/** Waits for a result of a probe: connections are restored one by one. */
	const becomes = (name: Parameters<typeof probe>[0], status: number, failing: string[]) =>
		eventually(async () => expect(await probe(name)).toEqual({ status, failing }));
	beforeAll(async () => {
		cluster = await startCluster({ services: ["shipping"] });
		healthPort = await freePort();
		[steady, other] = await Promise.all([
			cluster.start("steady", ["shipping"], { HEALTH_PORT: String(healthPort) }),
			cluster.start("other", ["shipping"]),
		]);
	});
	afterAll(() => cluster?.stop());

	const order = () => ({ order_id: uuid(), user_id: uuid(), shipping_address: null });
	/** A write, which is not retried when its result is lost. */
	const schedule = (options: object = {}) =>
		cluster.call("shipping.schedule", { orders: [order()] }, options);
	/** Calls a node; the next one by default. */
	const read = (node?: ClusterNode) =>
		cluster.call(
			"shipping.resolve",
			{ order_ids: [] },
			node ? { nodeID: node.id, timeout: 1000 } : {},
		);
	const bothRespond = () => eventually(() => Promise.all([read(steady), read(other)]));
	const pids = () => ({ steady: steady.process.pid, other: other.process.pid });

	test("nodes reconnect after NATS was down for longer than the heartbeat timeout", async () => {
		await bothRespond();
		await cluster.nats.process.kill();
		await eventually(() =>
			expect([cluster.has(steady), cluster.has(other)]).toEqual([false, false]),
		);
		const lost = await schedule({ timeout: 500 }).catch((error) => error);
		expect(isOutage(lost)).toBe(true);
		await cluster.nats.restart();
		await bothRespond();
		// Each node discovers the others again.
		await eventually(async () => {
			const list = await cluster.broker.call<{ id: string; available: boolean }[], object>(
				"$node.list",
				{},
				{ nodeID: steady.id },
			);
			const available = list.filter((node) => node.available).map(({ id }) => id);
			expect(available).toEqual(expect.arrayContaining([other.id, cluster.broker.nodeID]));
		});
	});

	test("calls succeed and processes survive while Redis is down", async () => {
		const before = pids();
		await becomes("ready", 200, []);
		await cluster.redis.process.kill();
		await becomes("ready", 503, ["redis"]);
		await becomes("serving", 200, ["redis"]);
		for (let i = 0; i < 10; i++) expect(await schedule()).toEqual([{ status: "done" }]);
		await cluster.redis.restart();
		for (let i = 0; i < 10; i++) expect(await schedule()).toEqual([{ status: "done" }]);
		await bothRespond();
		expect(pids()).toEqual(before);
		for (const { process } of [steady, other])
			expect(process.log().match(/Redis is unavailable/g) ?? []).toHaveLength(1);
	});

	test("a circuit breaker excludes a hanging node before its heartbeat is missed", async () => {
		await bothRespond();
		await withoutHeartbeatLimit(cluster.broker, async () => {
			other.process.pause();
			try {
				const outcomes = await Promise.allSettled(
					Array.from({ length: 20 }, () => schedule({ timeout: HANG_TIMEOUT })),
				);
				const failed = outcomes.flatMap((outcome) =>
					outcome.status === "rejected" ? [outcome.reason] : [],
				);
				expect(failed).toHaveLength(10);
				for (const error of failed) expect(error).toMatchObject({ type: "REQUEST_TIMEOUT" });
				expect(openBreakers(cluster.broker)).toEqual([
					expect.objectContaining({ action: "shipping.schedule", node: other.id, state: "open" }),
				]);
				expect((await healthCheck(cluster.broker, [])()).breakers).toEqual([
					{ action: "shipping.schedule", state: "open" },
				]);
				for (let i = 0; i < 10; i++)
					expect(await schedule({ timeout: HANG_TIMEOUT })).toEqual([{ status: "done" }]);
			} finally {
				other.process.resume();
			}
			// With its next heartbeat, the node is no longer late.
			await bothRespond();
		});
		await bothRespond();
	});

	test("calls fail at once while all nodes hang, and succeed when they resume", async () => {
		await bothRespond();
		for (const { process } of [steady, other]) process.pause();
		try {
			await Promise.allSettled(Array.from({ length: 20 }, () => schedule({ timeout: 500 })));
			const failure = await schedule().catch((error) => error);
			expect(failure).toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
			expect(isOutage(failure)).toBe(true);
			// After missed heartbeats they count as new nodes, whose circuit breakers are closed.
			await eventually(() =>
				expect([cluster.has(steady), cluster.has(other)]).toEqual([false, false]),
			);
		} finally {
			for (const { process } of [steady, other]) process.resume();
		}
		await bothRespond();
		await eventually(async () => expect(await schedule()).toEqual([{ status: "done" }]));
	});
});
