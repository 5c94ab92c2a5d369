import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { makeAdmin, makeProduct, register } from "../support/actors.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http.ts";
import { orderFlow } from "../support/order-flow.ts";
import { describeWith } from "../support/servers.ts";

const FRONT = ["api", "auth", "users", "products"];
const BACK = ["inventory", "orders", "payments", "shipping", "notifications"];
const START_MS = 120_000;

/** Two gateways and two nodes of each domain, in four processes: every step of an order crosses NATS. */
async function startPairs(): Promise<{ cluster: Cluster; nodes: ClusterNode[] }> {
	const cluster = await startCluster({ services: domains, env: { RATE_LIMIT_ENABLED: "false" } });
	const start = (name: string, services: string[]) => cluster.start(name, services);
	try {
		const nodes = await Promise.all([start("front-a", FRONT), start("front-b", FRONT), start("back-a", BACK), start("back-b", BACK)]);
		return { cluster, nodes };
	} catch (error) {
		await cluster.stop();
		throw error;
	}
}

describeWith(["nats-server", "redis-server"], "two nodes of everything", () => {
	describe("the order flow, each request at the next gateway", () => {
		orderFlow(async () => {
			const { cluster, nodes } = await startPairs();
			const gateways = nodes.slice(0, 2);
			let turn = 0;
			return {
				call: cluster.call,
				http: (request, init) => send(gateways[turn++ % 2]!.url, request, init),
				stop: cluster.stop,
			};
		}, START_MS / 1000);
	});

	describe("under load", () => {
		let cluster: Cluster;
		let nodes: ClusterNode[];
		let buy: () => Promise<number>;
		/** The gateways that the buyers are sent to, as a load balancer would. */
		let open: ClusterNode[];
		beforeAll(async () => {
			({ cluster, nodes } = await startPairs());
			open = nodes.slice(0, 2);
			const { token } = await register(cluster);
			const product = await makeProduct(cluster, await makeAdmin(cluster), { stock: 1_000_000 });
			let turn = 0;
			buy = async () => {
				const body = { items: [{ product_id: product.id, quantity: 1 }] };
				const gateway = open[turn++ % open.length]!;
				// A connection for each: one that is kept may be closed by the other side at any moment.
				return (await send(gateway.url, "POST /api/orders", { token, body, headers: { connection: "close" } })).status;
			};
		}, START_MS);
		afterAll(() => cluster?.stop());

		/** Four buyers at work while something happens; answers what they heard, each with the time since the start. */
		async function during(happening: () => Promise<unknown>): Promise<{ status: number; at: number }[]> {
			const heard: { status: number; at: number }[] = [];
			const from = Date.now();
			let working = true;
			const buyer = async () => {
				while (working) heard.push({ status: await buy(), at: Date.now() - from });
			};
			const buyers = [buyer(), buyer(), buyer(), buyer()];
			try {
				await happening();
			} finally {
				working = false;
				await Promise.all(buyers);
			}
			return heard;
		}
		const orders = async () => (await cluster.databases.query<{ n: number }>("orders", "select count(*)::int as n from orders"))[0]!.n;

		test("what was changed at one node is what the other one answers, at once", async () => {
			const admin = await makeAdmin(cluster);
			const { id } = await makeProduct(cluster, admin, { price: 1 });
			const [one, other] = [open[0]!.url, open[1]!.url];
			for (let price = 2; price < 12; price++) {
				for (const url of [one, other]) await send(url, `GET /api/products/${id}`);
				const changed = await send(price % 2 ? one : other, `PATCH /api/products/${id}`, { token: admin.token, body: { price } });
				expect(changed.status).toBe(200);
				// Each gateway asks the next of two nodes in turn, so both are asked.
				for (const url of [one, one, other, other]) expect((await send(url, `GET /api/products/${id}`)).body.price).toBe(price);
			}
		});

		test("both nodes of a service do the same share of the work", async () => {
			const counts = new Map<string, number>();
			for (let i = 0; i < 100; i++) {
				const call = cluster.broker.call("inventory.get", { product_id: "019a0000-0000-7000-8000-000000000001" });
				const { nodeID } = (call as unknown as { ctx: { nodeID: string } }).ctx;
				counts.set(nodeID, (counts.get(nodeID) ?? 0) + 1);
				await call.catch(() => undefined);
			}
			expect(counts.size).toBe(2);
			for (const count of counts.values()) expect(Math.abs(count - 50)).toBeLessThanOrEqual(10);
		});

		test("each node in turn is told to end and replaced, and not one request fails", async () => {
			const before = await orders();
			const heard = await during(async () => {
				for (const [i, node] of nodes.entries()) {
					const services = i < 2 ? FRONT : BACK;
					if (i < 2) open = open.filter((one) => one !== node);
					// What was sent to it before is still under way.
					expect(await node.process.term()).toBe(0);
					nodes[i] = await cluster.start(`next-${i}`, services);
					if (i < 2) open = [...open, nodes[i]!];
				}
			});
			expect(heard.filter(({ status }) => status !== 201)).toEqual([]);
			expect((await orders()) - before).toBe(heard.length);
		}, 180_000);

		test("a node that dies without a word costs a few answers 503 and no order", async () => {
			const [, , doomed] = nodes as [ClusterNode, ClusterNode, ClusterNode];
			let died = 0;
			const from = Date.now();
			const heard = await during(async () => {
				await eventually(async () => expect(await orders()).toBeGreaterThan(20));
				await doomed.process.kill();
				died = Date.now() - from;
				await eventually(() => expect(cluster.has(doomed)).toBe(false), 20);
				const gone = await orders();
				await eventually(async () => expect(await orders()).toBeGreaterThan(gone + 20), 20);
			});
			expect(heard.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
			const last = Math.max(0, ...heard.filter(({ status }) => status === 503).map(({ at }) => at));
			// What waited for the dead node is answered when its heartbeat is missed; nothing that came after that fails.
			expect(heard.filter(({ at, status }) => status === 201 && at > Math.max(last, died)).length).toBeGreaterThan(20);
			await eventually(async () => {
				const open = await cluster.databases.query("orders", "select id from orders where saga_state is not null");
				expect(open).toEqual([]);
			}, 20);
			nodes[2] = await cluster.start("risen", BACK);
		}, 120_000);

		test("Redis and NATS come and go, and afterwards everything works by itself", async () => {
			await during(async () => {
				await cluster.redis.process.term();
				await eventually(async () => expect(await buy()).toBe(201));
				await cluster.redis.restart();
				await cluster.nats.process.term();
				await cluster.nats.restart();
				await eventually(async () => expect(await buy()).toBe(201), 30);
			});
			const heard = await eventually(async () => {
				const answers = await Promise.all([buy(), buy(), buy(), buy()]);
				expect(answers).toEqual([201, 201, 201, 201]);
				return answers;
			}, 20);
			expect(heard).toHaveLength(4);
		}, 120_000);
	});
});
