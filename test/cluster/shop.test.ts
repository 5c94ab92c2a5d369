import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { orders } from "../e2e/order.flow.ts";
import { START_MS } from "../e2e/shape.ts";
import { register } from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "each service in a process of its own", () => {
	let cluster: Cluster;
	let notifications: ClusterNode;
	beforeAll(async () => {
		cluster = await startCluster({ services: domains, env: { RATE_LIMIT_ENABLED: "false" } });
		const nodes = await Promise.all(
			[...domains, "api"].map((name) => cluster.start(`only-${name}`, [name])),
		);
		notifications = nodes[domains.indexOf("notifications")]!;
	}, START_MS);
	afterAll(() => cluster?.stop(), START_MS);

	describe("the order flow", () =>
		orders(async () => ({ ...cluster, stop: async () => undefined })));

	test("a service whose only node has died is answered with 503, and works again on a new node", async () => {
		const { token } = await register(cluster);
		const ask = () => cluster.http("GET /api/notifications", { token });
		expect((await ask()).status).toBe(200);
		await notifications.process.kill();
		const refused = await eventually(async () => {
			const answer = await ask();
			expect(answer.status).toBe(503);
			return answer;
		});
		expect(refused.body).toMatchObject({
			code: "SERVICE_UNAVAILABLE",
			detail: "Service temporarily unavailable",
		});
		expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
		await eventually(() => expect(cluster.has(notifications)).toBe(false));
		const { body: health } = await cluster.http("GET /health");
		expect(health).toMatchObject({
			status: "degraded",
			services: { notifications: { status: "down" }, users: { status: "up" } },
		});
		await cluster.start("successor", ["notifications"]);
		await eventually(async () => expect((await ask()).status).toBe(200));
	}, 60_000);
});
