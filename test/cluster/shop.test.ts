import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeAdmin, makeProduct, register } from "../support/actors.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "the shop in several processes", () => {
	let cluster: Cluster;
	let fulfilment: ClusterNode;
	beforeAll(async () => {
		cluster = await startCluster({ services: domains });
		[fulfilment] = await Promise.all([
			cluster.start("fulfilment", ["payments", "shipping", "notifications"]),
			cluster.start("identity", ["auth", "users"]),
			cluster.start("catalogue", ["products", "inventory"]),
			cluster.start("orders", ["orders"]),
		]);
		await cluster.start("gateway", ["api"]);
	}, 90_000);
	afterAll(() => cluster?.stop());

	test("from registering to the message about a delivered order", async () => {
		const admin = await makeAdmin(cluster);
		const customer = await register(cluster);
		const product = await makeProduct(cluster, admin, { price: 19.99, stock: 5 });
		const body = { items: [{ product_id: product.id, quantity: 2 }] };
		const placed = await cluster.http("POST /api/orders", { token: customer.token, body });
		expect([placed.status, placed.body]).toMatchObject([201, { status: "confirmed", total_amount: 39.98, user_id: customer.id }]);
		for (const [step, status] of [
			["ship", "shipped"],
			["deliver", "delivered"],
		]) {
			const { body } = await cluster.http(`POST /api/orders/${placed.body.id}/${step}`, { token: admin.token });
			expect(body.status).toBe(status);
		}
		await eventually(async () => {
			const { body } = await cluster.http("GET /api/notifications", { token: customer.token });
			const templates = body.map(({ template }: { template: string }) => template).sort();
			expect(templates).toEqual(["order_confirmed", "order_delivered", "order_shipped", "welcome"]);
		}, 20);
	}, 60_000);

	test("a service whose only node has died is answered with 503, and works again on a new node", async () => {
		const { token } = await register(cluster);
		const ask = () => cluster.http("GET /api/notifications", { token });
		expect((await ask()).status).toBe(200);
		await fulfilment.process.kill();
		const refused = await eventually(async () => {
			const answer = await ask();
			expect(answer.status).toBe(503);
			return answer;
		});
		expect(refused.body).toMatchObject({ code: "SERVICE_UNAVAILABLE", detail: "Service temporarily unavailable" });
		expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
		await eventually(() => expect(cluster.has(fulfilment)).toBe(false));
		const { body: health } = await cluster.http("GET /health");
		expect(health).toMatchObject({ status: "degraded", services: { notifications: { status: "down" }, users: { status: "up" } } });
		await cluster.start("successor", ["payments", "shipping", "notifications"]);
		await eventually(async () => expect((await ask()).status).toBe(200));
	}, 60_000);
});
