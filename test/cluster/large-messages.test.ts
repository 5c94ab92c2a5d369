import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { LEAST_MAX_PAYLOAD } from "../../lib/resilience/message-size.ts";
import { type Customer, makeAdmin, register, untilSettled } from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { afterOutage } from "../support/outages.ts";
import { describeWith } from "../support/servers.ts";

const LINES = 100;
const QUEUED = 330;
const LISTED = 76;

describeWith(["nats-server", "redis-server"], "with the smallest max_payload of NATS", () => {
	let cluster: Cluster;
	let admin: Customer;
	let customer: Customer;
	let nodes: ClusterNode[];
	let inventory: ClusterNode;
	let items: { product_id: string; quantity: number }[];
	beforeAll(async () => {
		const env = { RATE_LIMIT_ENABLED: "false" };
		cluster = await startCluster({ services: domains, env, maxPayload: LEAST_MAX_PAYLOAD });
		const others = domains.filter((name) => !["inventory", "orders"].includes(name));
		const started = await Promise.all([
			cluster.start("inventory", ["inventory"]),
			cluster.start("orders-1", ["orders"]),
			cluster.start("orders-2", ["orders"]),
			cluster.start("others", ["api", ...others]),
		]);
		[inventory, ...nodes] = started as [ClusterNode, ...ClusterNode[]];
		[admin, customer] = [await makeAdmin(cluster), await register(cluster)];
		// Each character has three bytes.
		const description = "本".repeat(5000);
		const meta = { user: { id: admin.id, email: admin.email, role: "admin" as const } };
		const add = async (n: number) => {
			const product = {
				name: `Product ${n}`,
				price: 1,
				category: "Large",
				stock: 1_000_000,
				description,
			};
			return {
				product_id: (await afterOutage(() => cluster.call("products.create", product, { meta })))
					.id,
				quantity: 1,
			};
		};
		items = await Promise.all(Array.from({ length: LINES }, (_, n) => add(n)));
	});
	afterAll(() => cluster?.stop());

	const expectNoRestart = () => {
		for (const { process } of nodes) expect(process.log()).not.toContain("Unexpected failure");
		// A node that restarts has another ID. On a busy machine, a heartbeat may be late.
		return eventually(() => expect(nodes.filter((node) => !cluster.has(node))).toEqual([]));
	};
	const place = (headers: Record<string, string> = {}) =>
		cluster.http("POST /api/orders", { token: customer.token, body: { items }, headers });
	/** Places one order without waiting for its saga, and repeats the request after an outage. */
	async function placeAsync(): Promise<void> {
		const headers = { prefer: "respond-async", "idempotency-key": randomUUID() };
		await eventually(async () => {
			const { status, body } = await place(headers);
			const isPlaced = status === 202 || body.code === "IDEMPOTENCY_KEY_IN_USE";
			if (!isPlaced) throw new Error(`${status} ${JSON.stringify(body)}`);
		});
	}
	const count = async (status: string) => {
		const rows = await cluster.databases.query<{ n: number }>(
			"orders",
			"select count(*)::int as n from orders where status = $1",
			[status],
		);
		return rows[0]!.n;
	};

	test("an anonymous list of 100 products with long descriptions is complete", async () => {
		const { status, body } = await cluster.http("GET /api/products?category=Large&limit=100");
		expect(status).toBe(200);
		expect(new Set(body.map(({ id }: { id: string }) => id)).size).toBe(100);
		const rest = await cluster.http("GET /api/products?category=Large&skip=40");
		expect(rest.body).toEqual(body.slice(40));
		await expectNoRestart();
	});

	test("one message can announce all actions of a node", () => {
		// The sum over all nodes is an upper bound: no node has more actions than all services.
		const known = cluster.broker.registry.nodes as unknown as {
			toArray(): { local: boolean; rawInfo?: { services: object[] } }[];
		};
		const announced = known
			.toArray()
			.flatMap(({ local, rawInfo }) => (local ? [] : (rawInfo?.services ?? [])));
		expect(announced.length).toBeGreaterThan(domains.length);
		expect(JSON.stringify(announced).length).toBeLessThan(LEAST_MAX_PAYLOAD);
	});

	test("330 orders of 100 lines are confirmed after inventory was down", async () => {
		await inventory.process.kill();
		for (let n = 0; n < QUEUED; n += 10) await Promise.all(Array.from({ length: 10 }, placeAsync));
		expect(await count("pending")).toBe(QUEUED);
		await cluster.start("inventory-2", ["inventory"]);
		await eventually(async () => expect(await count("confirmed")).toBe(QUEUED));
		await expectNoRestart();
	});

	test("a list of 76 orders of 100 lines is complete, with its total and next page", async () => {
		const { status, body, headers } = await cluster.http(`GET /api/orders?limit=${LISTED}`, {
			token: customer.token,
		});
		expect(status).toBe(200);
		expect(new Set(body.map(({ id }: { id: string }) => id)).size).toBe(LISTED);
		expect(body[0].items).toHaveLength(LINES);
		expect(headers.get("x-total-count")).toBe(String(QUEUED));
		expect(headers.get("link")).toContain('rel="next"');
		await expectNoRestart();
	});

	test("a single result above the limit fails, and other requests succeed", async () => {
		const [{ id }] = (await cluster.http("GET /api/orders?limit=1", { token: customer.token }))
			.body;
		// The order contains the description of each of its products.
		const rejected = await cluster.http(`GET /api/orders/${id}`, { token: customer.token });
		expect(rejected).toMatchObject({ status: 500, body: { code: "INTERNAL_ERROR" } });
		await expectNoRestart();
		const { body } = await untilSettled((key) => place({ "idempotency-key": key }));
		expect(body.status).toBe("confirmed");
	});

	test("the audit divides large orders into several messages", async () => {
		// The e-mail of the last order may still be on its way.
		await eventually(async () => {
			const { checked, violations } = await cluster.call("orders.audit", {
				quiet: 0,
				recheck: 0,
				after: "orders:00000000-0000-0000-0000-000000000000",
			});
			expect(checked).toBeGreaterThan(0);
			expect(violations).toEqual([]);
		});
		await expectNoRestart();
	});
});
