import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Call, Meta } from "../../lib/contracts/contract.ts";
import type {} from "../../services/carts/carts.contract.ts";
import { BEGIN, COMPLETE } from "../../services/carts/carts.statements.ts";
import * as orders from "../../services/orders/saga/statements.ts";
import type {} from "../../services/products/products.contract.ts";
import type {} from "../../services/promotions/promotions.contract.ts";
import { untilSettled } from "../support/builders.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { addDoomedNode, type DoomedNode } from "../support/doomed-node.ts";
import { eventually } from "../support/eventually.ts";
import { afterOutage } from "../support/outages.ts";
import { describeWith } from "../support/servers.ts";
import { admin } from "../support/shop.ts";

const PRICE = 5;
/**
 * Every point of a checkout after which the order will be placed without another request. Between
 * the end of a step and the start of the next one, only the response is sent.
 */
const STARTED = [
	`after ${BEGIN.name}`,
	"after orders.place",
	`before ${COMPLETE.name}`,
	`after ${COMPLETE.name}`,
];
const PLACED = [
	`after ${orders.PLACE.name}`,
	"before inventory.reserve",
	"after inventory.reserve",
	"before payments.charge",
	"after payments.charge",
	"after shipping.schedule",
	`after ${orders.COMPLETE.name}`,
];
/** Maximum number of doomed nodes at a time. */
const CONCURRENCY = 4;
interface Death {
	readonly service: "carts" | "orders";
	readonly boundary: string;
	/** Whether the buyer repeats the checkout, on another node. */
	readonly repeat: boolean;
}
const deaths: readonly Death[] = [
	{ service: "carts", boundary: `before ${BEGIN.name}`, repeat: true },
	...STARTED.map((boundary) => ({ service: "carts" as const, boundary, repeat: false })),
	...STARTED.map((boundary) => ({ service: "carts" as const, boundary, repeat: true })),
	...PLACED.map((boundary) => ({ service: "orders" as const, boundary, repeat: false })),
];

interface Cart {
	readonly id: string;
	readonly meta: { readonly user: NonNullable<Meta["user"]> };
}

describeWith(["nats-server", "redis-server"], "several carts nodes", () => {
	let cluster: Cluster;
	let call: Call;
	let product: string;
	/** IDs of the two carts nodes that do not die. */
	let healthy: string;
	let other: string;

	beforeAll(async () => {
		cluster = await startCluster({ services: domains });
		const others = domains.filter((name) => !["orders", "carts"].includes(name));
		const [first, second] = await Promise.all([
			cluster.start("carts-1", ["carts"]),
			cluster.start("carts-2", ["carts"]),
			...["orders-1", "orders-2"].map((name) => cluster.start(name, ["orders"])),
			cluster.start("others", others),
		]);
		call = cluster.call;
		[healthy, other] = [first.id, second.id];
		product = await makeProduct();
	});
	afterAll(() => cluster?.stop());

	const makeProduct = async () =>
		(
			await afterOutage(() =>
				call(
					"products.create",
					{ name: "Tea", price: PRICE, category: "Drinks", stock: 10_000 },
					{ meta: { user: admin } },
				),
			)
		).id;

	/** Creates a coupon of 20 %, and returns its code. */
	async function makeCoupon(usage_limit: number): Promise<string> {
		const code = `C${uuid().slice(-10)}`;
		const effect = { type: "percent_off", value: 20 } as const;
		const options = { meta: { user: admin } };
		const promotion = { name: "A fifth", effect, code, usage_limit };
		await afterOutage(() => call("promotions.create", promotion, options));
		return code;
	}

	/** Starts a node that kills itself at a boundary. */
	function doom({ service, boundary, repeat }: Death): Promise<DoomedNode> {
		const name = `doomed-${service}-${boundary.replace(/\W/g, "-")}-${repeat}`;
		return addDoomedNode(cluster, name, service, boundary);
	}

	/** The cart of a new user with one product. */
	async function makeCart(): Promise<Cart> {
		const id = uuid();
		const meta = { user: { id, email: `${id}@example.com`, role: "user" as const } };
		const options = { meta: { ...meta }, nodeID: healthy };
		const cart = await afterOutage(() => call("carts.create", {}, options));
		const line = { id: cart.id, product_id: product, quantity: 1 };
		await afterOutage(() => call("carts.setLine", line, options));
		return { id: cart.id, meta };
	}
	const applyCoupons = ({ id, meta }: Cart, coupon_codes: string[]) =>
		afterOutage(() => call("carts.update", { id, coupon_codes }, { meta: { ...meta } }));
	const checkout = (
		{ id, meta }: Cart,
		nodeID: string,
		expected_total = PRICE,
		keyed: { idempotency_key?: string } = {},
	) =>
		call(
			"carts.checkout",
			{ id, expected_total },
			{ meta: { ...meta, ...keyed }, nodeID, timeout: 20_000 },
		);
	const statusOf = async ({ id }: Cart) =>
		(
			await cluster.databases.query<{ status: string }>(
				"carts",
				"select status from carts where id = $1",
				[id],
			)
		)[0]!.status;
	const settled = ({ id }: Cart) =>
		eventually(async () => {
			const rows = await cluster.databases.query<{ status: string; order_id: string }>(
				"carts",
				"select status, order_id from carts where id = $1",
				[id],
			);
			expect(rows).toMatchObject([{ status: "completed" }]);
			return rows[0]!;
		});
	/** Expects one confirmed order of the cart's user, which is charged once. */
	async function expectOneOrder({ meta }: Cart, order_id: string, total = PRICE): Promise<void> {
		const placed = await cluster.databases.query(
			"orders",
			"select id, status, total_amount::float8 as total from orders where user_id = $1",
			[meta.user.id],
		);
		expect(placed).toEqual([{ id: order_id, status: "confirmed", total }]);
		const charges = await cluster.databases.query(
			"payments",
			"select status, amount::float8 as amount from payments where order_id = $1",
			[order_id],
		);
		expect(charges).toEqual([{ status: "captured", amount: total }]);
	}

	/**
	 * Repeats a checkout until its cart is completed, as buyers do after an outage: an orders node
	 * may die at the same time. Returns the order's ID.
	 */
	const repeatCheckout = (cart: Cart): Promise<string> =>
		eventually(() =>
			checkout(cart, healthy).then(
				({ id }) => id,
				(error) => {
					expect(error.type).toBe("CART_COMPLETED");
					return error.data.order_id as string;
				},
			),
		);

	/** Kills a carts node during a checkout. Returns the cart, which is completed. */
	async function dieInCheckout(death: Death): Promise<void> {
		const doomed = await doom(death);
		const cart = await makeCart();
		await doomed.killWith(() => checkout(cart, doomed.id));
		await doomed.disappears();
		if (!death.repeat) return expectOneOrder(cart, (await settled(cart)).order_id);
		const order_id = await repeatCheckout(cart);
		expect((await settled(cart)).order_id).toBe(order_id);
		await expectOneOrder(cart, order_id);
	}
	/** Kills an orders node while it places the orders of carts. */
	async function dieInOrder(death: Death): Promise<void> {
		const doomed = await doom(death);
		const made: Cart[] = [];
		// Calls go to all orders nodes in turn, so one of these orders kills the node.
		await doomed.killWith(async () => {
			const carts = await Promise.all(Array.from({ length: 8 }, makeCart));
			made.push(...carts);
			await Promise.allSettled(carts.map((cart) => checkout(cart, healthy)));
			throw new Error("No order has reached the doomed node");
		});
		await doomed.disappears();
		for (const cart of made) {
			// An outage may have rejected a checkout before it started.
			if ((await statusOf(cart)) === "open") await repeatCheckout(cart);
			await expectOneOrder(cart, (await settled(cart)).order_id);
		}
	}

	describe("leave one order in a completed cart", () => {
		const results = new Map(deaths.map((death) => [death, Promise.withResolvers<void>()]));
		// Several nodes start, die and are detected at the same time; each test awaits one of them.
		beforeAll(() => {
			const queue = results.entries();
			const work = async () => {
				for (const [death, { resolve, promise }] of queue) {
					promise.catch(() => undefined);
					resolve(death.service === "carts" ? dieInCheckout(death) : dieInOrder(death));
					await promise.catch(() => undefined);
				}
			};
			for (let n = 0; n < CONCURRENCY; n++) void work();
		});

		test.each(
			deaths.map(
				(death) =>
					[death.service, death.boundary, death.repeat ? " and a repetition" : "", death] as const,
			),
		)("when a node of %s dies %s%s", async (_service, _boundary, _repeat, death) => {
			await results.get(death)!.promise;
		});
	});

	test("20 concurrent checkouts on two nodes place one order with the last coupon", async () => {
		for (const coupon_codes of [[], [await makeCoupon(1)]]) {
			const cart = await makeCart();
			await applyCoupons(cart, coupon_codes);
			const results = await Promise.allSettled(
				Array.from({ length: 20 }, (_, i) =>
					afterOutage(() => checkout(cart, i % 2 ? healthy : other)),
				),
			);
			const { order_id } = await settled(cart);
			for (const result of results)
				expect(result.status === "fulfilled" ? result.value.id : result.reason.data.order_id).toBe(
					order_id,
				);
			await expectOneOrder(cart, order_id, coupon_codes.length > 0 ? 4 : PRICE);
		}
	});

	test("a coupon with 20 uses discounts exactly 20 of 60 concurrent checkouts", async () => {
		const code = await makeCoupon(20);
		const made = await Promise.all(Array.from({ length: 60 }, makeCart));
		for (const cart of made) await applyCoupons(cart, [code]);
		const results = await Promise.allSettled(
			made.map((cart) =>
				untilSettled((idempotency_key) =>
					afterOutage(() => checkout(cart, healthy, 4, { idempotency_key })),
				),
			),
		);
		const ordered = results.filter(({ status }) => status === "fulfilled");
		expect(ordered).toHaveLength(20);
		for (const result of results)
			if (result.status === "rejected")
				expect(result.reason).toMatchObject({
					type: "COUPON_USED_UP",
					data: { coupon_code: code },
				});
		// A refused cart can be ordered without the coupon.
		const refused = made[results.findIndex(({ status }) => status === "rejected")]!;
		const read = await call("carts.get", { id: refused.id }, { meta: { ...refused.meta } });
		expect(read).toMatchObject({
			status: "open",
			problems: [{ code: "COUPON_USED_UP", coupon_code: code }],
		});
		await applyCoupons(refused, []);
		expect((await checkout(refused, healthy)).total_amount).toBe(PRICE);
	});

	test("the audit finds no violation", async () => {
		await eventually(async () => {
			const { violations, skipped } = await call("orders.audit", { quiet: 0, recheck: 0 });
			expect({ violations, skipped }).toEqual({ violations: [], skipped: 0 });
		});
	});
});
