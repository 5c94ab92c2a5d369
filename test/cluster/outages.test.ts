import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { openBreakers } from "../../lib/resilience/circuit-breakers.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import { healthCheck } from "../../services/api/cluster-health.ts";
import type {} from "../../services/shipping/shipping.contract.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "outages in a cluster", () => {
	let cluster: Cluster;
	let steady: ClusterNode;
	let other: ClusterNode;
	beforeAll(async () => {
		cluster = await startCluster({ services: ["shipping"] });
		[steady, other] = await Promise.all([
			cluster.start("steady", ["shipping"]),
			cluster.start("other", ["shipping"]),
		]);
	}, 60_000);
	afterAll(() => cluster?.stop());

	const order = () => ({ order_id: uuid(), user_id: uuid(), shipping_address: null });
	/** A write, which is not sent again when its answer is lost. */
	const schedule = (options: object = {}) =>
		cluster.call("shipping.schedule", { orders: [order()] }, options);
	/** Asks one node; whichever is next unless given. */
	const ask = (node?: ClusterNode) =>
		cluster.call(
			"shipping.resolve",
			{ order_ids: [] },
			node ? { nodeID: node.id, timeout: 1000 } : {},
		);
	const bothAnswer = () => eventually(() => Promise.all([ask(steady), ask(other)]), 30);
	const ids = () => ({ steady: steady.process.pid, other: other.process.pid });

	test("after NATS was away for longer than nodes wait for each other, everything goes on by itself", async () => {
		await bothAnswer();
		await cluster.nats.process.kill();
		await eventually(
			() => expect([cluster.has(steady), cluster.has(other)]).toEqual([false, false]),
			20,
		);
		const lost = await schedule({ timeout: 500 }).catch((error) => error);
		expect(isOutage(lost)).toBe(true);
		await cluster.nats.restart();
		await bothAnswer();
		// And each of them finds the others again.
		await eventually(async () => {
			const list = await cluster.broker.call<{ id: string; available: boolean }[], object>(
				"$node.list",
				{},
				{ nodeID: steady.id },
			);
			const seen = list.filter(({ available }) => available).map(({ id }) => id);
			expect(seen).toEqual(expect.arrayContaining([other.id, cluster.broker.nodeID]));
		}, 20);
	}, 60_000);

	test("without Redis calls go on, and nobody ends", async () => {
		const before = ids();
		await cluster.redis.process.kill();
		for (let i = 0; i < 10; i++) expect(await schedule()).toEqual([{ status: "done" }]);
		await cluster.redis.restart();
		for (let i = 0; i < 10; i++) expect(await schedule()).toEqual([{ status: "done" }]);
		await Promise.all([ask(steady), ask(other)]);
		expect(ids()).toEqual(before);
		for (const { process } of [steady, other])
			expect(process.log().match(/Redis is gone/g) ?? []).toHaveLength(1);
	}, 60_000);

	test("a node that hangs is shut out by its callers' breakers before anybody misses it, and its calls go to the other one", async () => {
		await bothAnswer();
		other.process.pause();
		const outcomes = await Promise.allSettled(
			Array.from({ length: 20 }, () => schedule({ timeout: 500 })),
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
			expect(await schedule({ timeout: 500 })).toEqual([{ status: "done" }]);
		other.process.resume();
		await bothAnswer();
	}, 60_000);

	test("when all that could answer hang, calls are refused at once as outages; when they go on, so do calls", async () => {
		await bothAnswer();
		for (const { process } of [steady, other]) process.pause();
		await Promise.allSettled(Array.from({ length: 20 }, () => schedule({ timeout: 500 })));
		const refused = await schedule().catch((error) => error);
		expect(refused).toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
		expect(isOutage(refused)).toBe(true);
		// Long enough that their heartbeats are missed: they come back as if they were new, with breakers that are closed.
		await eventually(
			() => expect([cluster.has(steady), cluster.has(other)]).toEqual([false, false]),
			20,
		);
		for (const { process } of [steady, other]) process.resume();
		await bothAnswer();
		expect(await schedule()).toEqual([{ status: "done" }]);
	}, 60_000);
});
