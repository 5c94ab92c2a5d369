import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../../services/orders/orders.contract.ts";
import * as statements from "../../services/orders/saga/statements.ts";
import type {} from "../../services/products/products.contract.ts";
import type {} from "../../services/users/users.contract.ts";
import { untilSettled } from "../support/builders.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { addDoomedNode } from "../support/doomed-node.ts";
import { eventually } from "../support/eventually.ts";
import { afterOutage } from "../support/outages.ts";
import { describeWith } from "../support/servers.ts";
import { admin } from "../support/shop.ts";

/** Points at which the order may not be written: its stock is reserved at the same time. */
const UNWRITTEN = ["before inventory.reserve", "after inventory.reserve"];
/**
 * Every point between two steps of an order that succeeds. After the order is written, nothing
 * happens between the end of a step and the start of the next one.
 */
const FORWARD = [
	...UNWRITTEN,
	`after ${statements.PLACE.name}`,
	"before promotions.redeem",
	"after promotions.redeem",
	"after payments.charge",
	"after shipping.schedule",
	`after ${statements.COMPLETE.name}`,
];
/** Every point between two compensations of an order that fails at its last step. */
const BACKWARD = [
	`before ${statements.MARK_COMPENSATING.name}`,
	`after ${statements.MARK_COMPENSATING.name}`,
	"after shipping.unschedule",
	"after payments.reverse",
	"after promotions.release",
	"after inventory.release",
	`after ${statements.MARK_COMPENSATED.name}`,
];
/** Maximum number of doomed nodes at a time. */
const CONCURRENCY = 6;

const boundaries = [
	...FORWARD.map((boundary) => ({
		boundary,
		shipping_address: "Main Street 1",
		status: "confirmed",
	})),
	...BACKWARD.map((boundary) => ({
		boundary,
		shipping_address: "Undeliverable Road 1",
		status: "cancelled",
	})),
];
type Boundary = (typeof boundaries)[number];

describeWith(["nats-server", "redis-server"], "several orders nodes", () => {
	let cluster: Cluster;
	let call: Call;
	/** ID of an orders node that does not die. */
	let healthy: string;
	let order: { items: { product_id: string; quantity: number }[] };
	let meta: { user: { id: string; email: string; role: "user" } };
	beforeAll(async () => {
		cluster = await startCluster({ services: domains });
		const others = domains.filter((name) => name !== "orders");
		const [first] = await Promise.all([
			cluster.start("orders-1", ["orders"]),
			...["orders-2", "orders-3"].map((name) => cluster.start(name, ["orders"])),
			cluster.start("others", others),
		]);
		call = cluster.call;
		healthy = first.id;
		const email = "buyer@example.com";
		const user = await afterOutage(() =>
			call("users.seed", {
				email,
				password: "correct horse",
				full_name: "A Buyer",
				role: "user",
				is_verified: true,
			}),
		);
		meta = { user: { id: user.id, email, role: "user" } };
		const id = await makeProduct(1000);
		order = { items: [{ product_id: id, quantity: 1 }] };
		await promote(id);
	});
	afterAll(() => cluster?.stop());

	/** Creates a product and returns its ID. */
	const makeProduct = async (stock: number) =>
		(
			await afterOutage(() =>
				call(
					"products.create",
					{ name: "Tea", price: 5, category: "Drinks", stock },
					{ meta: { user: admin } },
				),
			)
		).id;
	/** Creates an automatic promotion of a product. */
	const promote = (product_id: string, limits: { usage_limit?: number } = {}) =>
		afterOutage(() =>
			call(
				"promotions.create",
				{
					name: "One off",
					effect: { type: "amount_off", value: 1 },
					conditions: { product_ids: [product_id] },
					...limits,
				},
				{ meta: { user: admin } },
			),
		);

	const find = async (key: string) =>
		(
			await cluster.databases.query<{
				id: string;
				status: string;
				saga_state: string | null;
				duration: number;
			}>(
				"orders",
				`select o.id, o.status, o.saga_state,
					extract(epoch from o.updated_at - o.created_at)::float8 as duration
				from orders o join idempotency_keys k on k.subject = o.id::text where k.key = $1`,
				[key],
			)
		)[0];

	/** Places an order on a node that dies at the boundary, and returns the settled order. */
	async function dieAt({ boundary, shipping_address, status }: Boundary) {
		const name = `doomed-${boundary.replace(/\W/g, "-")}-${status}`;
		const node = await addDoomedNode(cluster, name, "orders", boundary);
		const idempotency_key = uuid();
		const place = (nodeID: string) =>
			call(
				"orders.create",
				{ ...order, shipping_address },
				{ nodeID, meta: { ...meta, idempotency_key }, timeout: 20_000 },
			);
		await node.killWith(() => place(node.id));
		return eventually(async () => {
			const found = await find(idempotency_key);
			// Like a client that has received no response. An order that was written settles without it.
			if (!found && UNWRITTEN.includes(boundary)) await place(healthy);
			if (!found || found.saga_state)
				throw new Error(`${boundary}: the order is ${JSON.stringify(found)}`);
			return found;
		});
	}

	test("confirm 20 of 200 concurrent orders for 20 items and reject the others", async () => {
		const id = await makeProduct(20);
		const items = [{ product_id: id, quantity: 1 }];
		const buy = () =>
			untilSettled((idempotency_key) =>
				call("orders.create", { items }, { meta: { ...meta, idempotency_key } }),
			).then(
				({ status }) => status,
				({ type }) => type,
			);
		const results = await Promise.all(Array.from({ length: 200 }, buy));
		expect(results.filter((result) => result === "confirmed")).toHaveLength(20);
		expect(results.filter((result) => result === "OUT_OF_STOCK")).toHaveLength(180);
		expect(await call("inventory.get", { product_id: id })).toMatchObject({
			on_hand: 20,
			reserved: 20,
			available: 0,
		});
	});

	test("apply a promotion with 20 uses to 20 of 100 concurrent orders", async () => {
		const id = await makeProduct(1000);
		const promotion = await promote(id, { usage_limit: 20 });
		const items = [{ product_id: id, quantity: 1 }];
		/** Places orders and returns the discounted ones. The others are refused, or pay the price. */
		const buy = async (count: number) => {
			const results = await Promise.allSettled(
				Array.from({ length: count }, () =>
					untilSettled((idempotency_key) =>
						call("orders.create", { items }, { meta: { ...meta, idempotency_key } }),
					),
				),
			);
			for (const result of results)
				if (result.status === "rejected")
					expect(result.reason).toMatchObject({ type: "COUPON_USED_UP" });
				else expect(result.value.status).toBe("confirmed");
			return results.flatMap((result) =>
				result.status === "fulfilled" && result.value.discount_amount > 0 ? [result.value.id] : [],
			);
		};
		const used = async () =>
			(await call("promotions.get", { id: promotion.id }, { meta: { user: admin } })).used;
		const discounted = await buy(100);
		expect([discounted.length, await used()]).toEqual([20, 20]);
		await Promise.all(
			discounted.slice(0, 7).map((id) => call("orders.cancel", { id }, { meta: { ...meta } })),
		);
		// The compensation of an order may outlast its cancellation.
		await eventually(async () => expect(await used()).toBe(13));
		expect([(await buy(50)).length, await used()]).toEqual([7, 20]);
	});

	describe("settle an order whose node dies", () => {
		const results = new Map(
			boundaries.map((boundary) => [boundary, Promise.withResolvers<{ status: string }>()]),
		);
		// Several nodes start, die and are detected at the same time; each test awaits one of them.
		beforeAll(() => {
			const queue = results.entries();
			const work = async () => {
				for (const [boundary, { resolve, promise }] of queue) {
					promise.catch(() => undefined);
					resolve(dieAt(boundary));
					await promise.catch(() => undefined);
				}
			};
			for (let n = 0; n < CONCURRENCY; n++) void work();
		});

		test.each(
			boundaries.map((boundary) => [boundary.boundary, boundary.status, boundary] as const),
		)("%s: the order is %s", async (_boundary, status, boundary) => {
			expect(await results.get(boundary)!.promise).toMatchObject({ status });
		});

		test("without a violation of the audit's invariants", async () => {
			await eventually(async () => {
				const { violations, skipped } = await call("orders.audit", { quiet: 0, recheck: 0 });
				expect({ violations, skipped }).toEqual({ violations: [], skipped: 0 });
			});
		});
	});
});
