import { expect, test } from "@jest/globals";
import type { ServiceSchema } from "moleculer";
import { brokerOptions } from "../../moleculer.config.ts";
import { commonError } from "../contracts/errors.ts";
import type { NodeSnapshot } from "../contracts/node-snapshot.ts";
import { catalogue } from "../observability/metrics/catalogue.ts";
import { metricsOf } from "../observability/metrics/registry.ts";
import { version } from "../process/version.ts";
import { readEnv } from "../settings/env.ts";
import { createNode } from "../settings/node.ts";
import { bucketBounds } from "./node-snapshot.ts";

const env = readEnv({ NODE_ENV: "test", LOGLEVEL: "fatal" });
const service = (name: string, actions: ServiceSchema["actions"] = {}): ServiceSchema =>
	({ name, actions }) as ServiceSchema;
const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

async function withNode(
	schemas: readonly ServiceSchema[],
	check: (node: ReturnType<typeof createNode>, read: () => Promise<NodeSnapshot>) => Promise<void>,
) {
	const node = createNode(brokerOptions(env), env, schemas);
	await node.start();
	try {
		await check(node, () => node.call<NodeSnapshot>("$node.snapshot"));
	} finally {
		await node.stop();
	}
}

test("counts the calls of each service since the start, without those of the snapshot", () =>
	withNode(
		[
			service("things", {
				make: () => 1,
				list: () => 2,
				refuse: () => {
					throw commonError("FORBIDDEN");
				},
				fail: () => {
					throw new Error("broken");
				},
			}),
			service("idle", { rest: () => 1 }),
		],
		async (node, read) => {
			for (const action of ["make", "make", "list"]) await node.call(`things.${action}`);
			for (const action of ["refuse", "fail"])
				await node.call(`things.${action}`).catch(() => undefined);
			await read();
			const { calls, http, ...snapshot } = await read();
			expect(calls.map(({ seconds, buckets, ...counts }) => counts)).toEqual([
				{ service: "idle", ok: 0, refused: 0, failed: 0 },
				{ service: "things", ok: 3, refused: 1, failed: 1 },
			]);
			expect(calls.map(({ buckets }) => [buckets.length, sum(buckets)])).toEqual([
				[bucketBounds.length + 1, 0],
				[bucketBounds.length + 1, 5],
			]);
			expect(calls[1]!.seconds).toBeGreaterThan(0);
			expect(http).toBeNull();
			expect(snapshot).toMatchObject({
				version,
				started_at: new Date(performance.timeOrigin).toISOString(),
				breakers: [],
			});
			expect(snapshot.memory_mb).toBeGreaterThan(10);
			expect(snapshot.cpu_seconds).toBeGreaterThan(0);
		},
	));

test("sums the requests of a gateway over routes, and counts those that failed", () =>
	withNode([service("api")], async (node, read) => {
		const metrics = metricsOf(node);
		const finish = (route: string, status: string, seconds: number) => {
			metrics.counter(catalogue.requests, "GET", route, status).add();
			metrics.histogram(catalogue.requestSeconds, "GET", route).observe(seconds);
		};
		expect((await read()).http).toMatchObject({ requests: 0, failed: 0, seconds: 0 });
		finish("/a", "200", 0.001);
		finish("/a", "503", 0.25);
		finish("/b", "404", 100);
		const http = (await read()).http!;
		expect(http).toMatchObject({ requests: 3, failed: 1, seconds: 100.251 });
		expect(http.buckets[0]).toBe(1);
		expect(http.buckets[bucketBounds.indexOf(0.25)]).toBe(1);
		expect(http.buckets.at(-1)).toBe(1);
	}));
