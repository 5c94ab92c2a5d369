import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Call } from "../../lib/contracts/contract.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import type {} from "../../services/orders/orders.contract.ts";
import type {} from "../../services/products/products.contract.ts";
import type {} from "../../services/users/users.contract.ts";
import { type Cluster, startCluster } from "../../tools/chaos/cluster.ts";
import { root } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";
import { admin } from "../support/shop.ts";

const SETTLES_WITHIN = 10;
const around = (...names: string[]) => names.flatMap((name) => [`before ${name}`, `after ${name}`]);
/** Every moment between two steps of an order that goes through, and of one that is given up at its last step. */
const FORWARD = [
	"after place",
	...around("inventory.reserve", "payments.charge", "shipping.schedule", "complete"),
];
const BACKWARD = around(
	"turn",
	"shipping.unschedule",
	"payments.reverse",
	"inventory.release",
	"close",
);
/** So many nodes start and die at once. */
const TOGETHER = 4;

const boundaries = [
	...FORWARD.map((boundary) => ({ boundary, shipping_address: "Main Street 1", end: "confirmed" })),
	...BACKWARD.map((boundary) => ({
		boundary,
		shipping_address: "Undeliverable Road 1",
		end: "cancelled",
	})),
];
const groups = Array.from({ length: Math.ceil(boundaries.length / TOGETHER) }, (_, i) =>
	boundaries.slice(i * TOGETHER, (i + 1) * TOGETHER),
);

describeWith(["nats-server", "redis-server"], "Several orders nodes", () => {
	let cluster: Cluster;
	let broker: ServiceBroker;
	let call: Call;
	let order: { items: { product_id: string; quantity: number }[] };
	let meta: { user: { id: string; email: string; role: "user" } };
	beforeAll(async () => {
		cluster = await startCluster({ edge: 1, orders: 3, goods: 1, money: 1 }, [], () => undefined);
		const env = readEnv({ ...cluster.env, NODEID: "test", LOGLEVEL: "fatal" });
		broker = createNode(brokerOptions(env), env, []);
		await broker.start();
		await broker.waitForServices(["users", "products", "orders", "inventory"]);
		call = broker.call.bind(broker) as Call;
		const email = "buyer@example.com";
		const user = await call("users.seed", {
			email,
			password: "correct horse",
			full_name: "A Buyer",
			role: "user",
			is_verified: true,
		});
		meta = { user: { id: user.id, email, role: "user" } };
		const { id } = await call(
			"products.create",
			{ name: "Tea", price: 5, category: "Drinks", stock: 1000 },
			{ meta: { user: admin } },
		);
		order = { items: [{ product_id: id, quantity: 1 }] };
	}, 120_000);
	afterAll(async () => {
		await broker?.stop();
		await cluster?.stop();
	}, 60_000);

	const find = async (key: string) =>
		(
			await cluster.query<{ id: string; status: string; saga_state: string | null; took: number }>(
				"orders",
				"select o.id, o.status, o.saga_state, extract(epoch from o.updated_at - o.created_at)::float8 as took from orders o join idempotency_keys k on k.subject = o.id::text where k.key = $1",
				[key],
			)
		)[0];

	/** Has an order placed on a node that dies at the boundary; answers its end, and the seconds it took. */
	async function dieAt(
		{ boundary, shipping_address, end }: (typeof boundaries)[number],
		n: number,
	) {
		const name = `doomed-${boundary.replace(/\W/g, "-")}-${end}-${n}`;
		await cluster.add("orders", name, {
			env: { DIE_AT: boundary },
			preload: join(root, "test/support/die-at.ts"),
		});
		const nodeID = await eventually(() => {
			const node = broker.registry
				.getNodeList({ onlyAvailable: true, withServices: true })
				.find(({ id }) => id.startsWith(`${name}-`));
			if (!node) throw new Error(`${name} has not joined`);
			return node.id;
		}, 30);
		const idempotency_key = uuid();
		const request = call(
			"orders.create",
			{ ...order, shipping_address },
			{ nodeID, meta: { ...meta, idempotency_key }, timeout: 20_000 },
		);
		// The node has died; whoever asked it hears of that when its heartbeat is missed.
		await expect(request).rejects.toThrow();
		const settled = await eventually(async () => {
			const found = await find(idempotency_key);
			if (!found || found.saga_state)
				throw new Error(`${boundary}: the order is ${JSON.stringify(found)}`);
			return found;
		}, SETTLES_WITHIN + 10);
		return { boundary, ...settled };
	}

	test("200 buyers at once for 20 pieces: 20 are confirmed, all others hear that it is out of stock", async () => {
		const { id } = await call(
			"products.create",
			{ name: "Rare tea", price: 5, category: "Drinks", stock: 20 },
			{ meta: { user: admin } },
		);
		const items = [{ product_id: id, quantity: 1 }];
		const buy = () =>
			call("orders.create", { items }, { meta: { ...meta } }).then(
				({ status }) => status,
				({ type }) => type,
			);
		const answers = await Promise.all(Array.from({ length: 200 }, buy));
		expect(answers.filter((answer) => answer === "confirmed")).toHaveLength(20);
		expect(answers.filter((answer) => answer === "OUT_OF_STOCK")).toHaveLength(180);
		expect(await call("inventory.get", { product_id: id })).toMatchObject({
			on_hand: 20,
			reserved: 20,
			available: 0,
		});
	});

	test.each(
		groups.map((group) => [group.map(({ boundary }) => boundary).join(", "), group] as const),
	)(
		"a node that dies %s: the order settles in time, the same way as without",
		async (_names, group) => {
			const ends = await Promise.all(group.map(dieAt));
			expect(ends.map(({ boundary, status }) => ({ boundary, end: status }))).toEqual(
				group.map(({ boundary, end }) => ({ boundary, end })),
			);
			await eventually(async () => {
				const { violations, skipped } = await call("orders.audit", { quiet: 0, recheck: 0 });
				expect({ violations, skipped }).toEqual({ violations: [], skipped: 0 });
			}, 20);
		},
		120_000,
	);
});
