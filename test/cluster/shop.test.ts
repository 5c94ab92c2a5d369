import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { orders } from "../e2e/order.flow.ts";
import { START_MS } from "../e2e/shape.ts";
import { register } from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "each service in its own process", () => {
	let cluster: Cluster;
	let notifications: ClusterNode;
	beforeAll(async () => {
		cluster = await startCluster({ services: domains, env: { RATE_LIMIT_ENABLED: "false" } });
		const nodes = await Promise.all(
			[...domains, "api"].map((name) =>
				cluster.start(`only-${name}`, name === "api" ? [name, "operations"] : [name]),
			),
		);
		notifications = nodes[domains.indexOf("notifications")]!;
	}, START_MS);
	afterAll(() => cluster?.stop(), START_MS);

	describe("the order flow", () =>
		orders(async () => ({ ...cluster, stop: async () => undefined })));

	test("requests to a service without nodes return 503 until a new node starts", async () => {
		const { token } = await register(cluster);
		const list = () => cluster.http("GET /api/notifications", { token });
		expect((await list()).status).toBe(200);
		await notifications.process.kill();
		const rejected = await eventually(async () => {
			const response = await list();
			expect(response.status).toBe(503);
			return response;
		});
		expect(rejected.body).toMatchObject({
			code: "SERVICE_UNAVAILABLE",
			detail: "Service temporarily unavailable",
		});
		expect(rejected.headers.get("retry-after")).toMatch(/^\d+$/);
		await eventually(() => expect(cluster.has(notifications)).toBe(false));
		const { body: health } = await cluster.http("GET /health");
		expect(health).toMatchObject({
			status: "degraded",
			services: { notifications: { status: "down" }, users: { status: "up" } },
		});
		await cluster.start("successor", ["notifications"]);
		await eventually(async () => expect((await list()).status).toBe(200));
	}, 60_000);
});
