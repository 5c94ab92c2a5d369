import { beforeAll, expect, test } from "@jest/globals";
import { readEnv } from "../../../lib/settings/env.ts";
import { createNode } from "../../../lib/settings/node.ts";
import { brokerOptions } from "../../../moleculer.config.ts";
import type { Cluster, ClusterNode } from "../../support/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import type { Pairs } from "../../support/pairs.ts";
import { admin } from "../../support/shop.ts";

/** Tests of the operations service while nodes die or hang. */
export const operations = (open: () => Pairs) => {
	let pairs: Pairs;
	let cluster: Cluster;
	beforeAll(() => {
		pairs = open();
		({ cluster } = pairs);
	});

	const as = { meta: { user: admin! } };
	const read = () => cluster.call("operations.nodes", {}, as);
	const find = async ({ id }: ClusterNode) => (await read()).nodes.find((node) => node.id === id);
	const disappears = (node: ClusterNode) =>
		eventually(async () => expect(await find(node)).toBeUndefined());

	test("a killed node disappears, and its replacement counts the restart", async () => {
		const first = await cluster.start("orders-x", ["orders"]);
		await eventually(async () =>
			expect(await find(first)).toMatchObject({
				responding: true,
				restarts: 0,
				services: ["orders"],
				calls: [expect.objectContaining({ service: "orders" })],
				http: null,
			}),
		);
		await first.process.kill();
		await disappears(first);
		const next = await cluster.start("orders-x", ["orders"]);
		await eventually(async () =>
			expect(await find(next)).toMatchObject({ responding: true, restarts: 1 }),
		);
		const [steady] = pairs.nodes("orders");
		await eventually(async () =>
			expect(await find(steady!)).toMatchObject({ responding: true, restarts: 0 }),
		);
		expect(await next.process.term()).toBe(0);
		await disappears(next);
	});

	test("a hung node does not respond, is removed, and returns without a restart", async () => {
		const node = await cluster.start("orders-y", ["orders"]);
		const responds = () =>
			eventually(async () => expect(await find(node)).toMatchObject({ responding: true }));
		await responds();
		try {
			await eventually(async () => {
				node.process.pause();
				const found = await find(node);
				if (!found) {
					// The node was removed before a read has seen it hang.
					node.process.resume();
					await responds();
				}
				expect(found).toMatchObject({
					responding: false,
					services: ["orders"],
					restarts: 0,
					memory_mb: null,
					calls: [],
					breakers: [],
				});
			});
			await disappears(node);
		} finally {
			node.process.resume();
		}
		await eventually(async () =>
			expect(await find(node)).toMatchObject({ responding: true, restarts: 0 }),
		);
		const { nodes } = await read();
		const actions = nodes.flatMap(({ breakers }) => breakers.map(({ action }) => action));
		expect(actions).not.toContain("$node.snapshot");
	});

	test("a node of an older version responds without figures", async () => {
		const env = readEnv({ ...cluster.env, NODEID: "older", LOGLEVEL: "fatal" });
		const older = createNode({ ...brokerOptions(env), internalServices: true }, env, []);
		await older.start();
		await eventually(async () => {
			const found = (await read()).nodes.find(({ id }) => id === older.nodeID);
			expect(found).toMatchObject({ responding: true, services: [], version: null, calls: [] });
		});
		await older.stop();
	});

	test("concurrent requests share one call of each node", async () => {
		const results = await Promise.all(Array.from({ length: 10 }, read));
		expect(new Set(results.map(({ time }) => time)).size).toBe(1);
	});

	test("a hung service is reported as unavailable, and other queues are listed", async () => {
		const [goods] = pairs.nodes("goods");
		goods!.process.pause();
		try {
			// On a busy machine, other services may miss the time limit of their response.
			await eventually(async () => {
				const { services, unavailable } = await cluster.call("operations.queues", {}, as);
				expect(unavailable).toEqual(["carts", "inventory", "shipping"]);
				expect(services.map(({ service }) => service)).toEqual(
					expect.arrayContaining(["orders", "notifications", "payments"]),
				);
			});
			await eventually(async () => {
				const { unavailable } = await cluster.call("operations.listDeadLetters", {}, as);
				expect(unavailable).toEqual(["carts", "inventory", "shipping"]);
			});
		} finally {
			goods!.process.resume();
		}
		await eventually(async () =>
			expect((await cluster.call("operations.queues", {}, as)).unavailable).toEqual([]),
		);
	});
};
