import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { walkAudit } from "../../scripts/audit/walk.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import type { Http, HttpResponse } from "../support/http.ts";
import { afterOutage } from "../support/outages.ts";
import { describeWith } from "../support/servers.ts";

const PRICE = 20;
/** Discount of a promotion on the order of a cart. */
const DISCOUNT = 10;

type Kind = "orders" | "promotions" | "carts";
interface Cart {
	readonly id: string;
	/** Options of a request by the owner of the cart. */
	readonly access: NonNullable<Parameters<Http>[1]>;
}
interface Promotion {
	readonly id: string;
	readonly code: string;
}
type Outcome = "ordered" | "used up";

describeWith(["nats-server", "redis-server"], "coupons in a cluster", () => {
	let cluster: Cluster;
	let admin: Customer;
	let product: { readonly id: string };
	const nodes: Record<Kind, ClusterNode[]> = { orders: [], promotions: [], carts: [] };
	let started = 0;
	async function add(kind: Kind): Promise<void> {
		nodes[kind].push(await cluster.start(`${kind}-${++started}`, [kind]));
	}
	beforeAll(async () => {
		cluster = await startCluster({
			services: domains,
			env: { RATE_LIMIT_ENABLED: "false", LEASE_MS: "1500" },
		});
		const others = domains.filter((name) => !Object.hasOwn(nodes, name));
		await Promise.all([
			cluster.start("others", [...others, "api"]),
			...(
				["orders", "orders", "orders", "promotions", "promotions", "carts", "carts"] as const
			).map(add),
		]);
		admin = await makeAdmin(cluster);
		product = await makeProduct(cluster, admin, { price: PRICE, stock: 10_000 });
	});
	afterAll(() => cluster?.stop());

	const send = (request: string, options: Cart["access"]): Promise<HttpResponse["body"]> =>
		afterOutage(async () => {
			const { status, body } = await cluster.http(request, options);
			if (status < 400) return body;
			const message = `${request}: ${status} ${JSON.stringify(body)}`;
			throw Object.assign(new Error(message), { status });
		});
	let coupons = 0;
	async function createCoupon(limits: object): Promise<Promotion> {
		const code = `COUPON-${++coupons}`;
		const effect = { type: "amount_off", value: DISCOUNT };
		const body = { name: "Coupon", code, effect, ...limits };
		return { code, id: (await send("POST /api/promotions", { token: admin.token, body })).id };
	}
	/** Opens a cart with one product and a coupon, of the account with `token` or of a guest. */
	async function fillCart(
		{ code }: Promotion,
		{ token, email }: { token?: string; email?: string },
	): Promise<Cart> {
		const opened = await send("POST /api/carts", { body: {}, ...(token ? { token } : {}) });
		const access = token ? { token } : { headers: { "Cart-Token": opened.token } };
		const path = `/api/carts/${opened.id}`;
		await send(`PUT ${path}/lines/${product.id}`, { ...access, body: { quantity: 1 } });
		const body = { coupon_codes: [code], ...(email ? { email } : {}) };
		await send(`PATCH ${path}`, { ...access, body });
		return { id: opened.id, access };
	}
	/** Fills carts of guests, a few at a time: only their checkouts need to be concurrent. */
	async function fillCarts(promotion: Promotion, count: number): Promise<Cart[]> {
		const carts: Cart[] = [];
		while (carts.length < count) {
			const emails = Array.from({ length: 20 }, (_, n) => `buyer-${carts.length + n}@example.com`);
			carts.push(...(await Promise.all(emails.map((email) => fillCart(promotion, { email })))));
		}
		return carts;
	}
	/** Checks out a cart. Repeats the request until its response is conclusive, as clients do. */
	const checkOut = ({ id, access }: Cart): Promise<Outcome> =>
		eventually(async () => {
			const { status, body } = await cluster.http(`POST /api/carts/${id}/checkout`, {
				...access,
				body: { expected_total: PRICE - DISCOUNT },
			});
			if (status === 408 || status === 503 || body.status === "pending")
				throw new Error(`${status}`);
			if (status === 201 || body.code === "CART_COMPLETED") return "ordered";
			expect({ status, code: body.code }).toEqual({ status: 409, code: "COUPON_USED_UP" });
			return "used up";
		});
	const checkOutAll = (carts: readonly Cart[]) => Promise.all(carts.map(checkOut));
	const count = (outcomes: readonly Outcome[], outcome: Outcome) =>
		outcomes.filter((one) => one === outcome).length;
	const withOutcome = (carts: readonly Cart[], outcomes: readonly Outcome[], outcome: Outcome) =>
		carts.filter((_, i) => outcomes[i] === outcome);

	/** Kills an orders node and another node. */
	const killNodes = (other: Kind) =>
		Promise.all([nodes.orders, nodes[other]].map((all) => all.shift()!.process.kill()));
	/** Checks out half of the carts, and the others while nodes are killed. */
	async function checkOutDuringKills(
		{ id }: Promotion,
		carts: readonly Cart[],
		other: Kind,
	): Promise<Outcome[]> {
		const half = carts.length / 2;
		const early = checkOutAll(carts.slice(0, half));
		await eventually(async () => expect(await redemptionsOf(id)).toBeGreaterThan(0));
		const late = checkOutAll(carts.slice(half));
		await killNodes(other);
		return [...(await early), ...(await late)];
	}

	async function redemptionsOf(promotion: string): Promise<number> {
		const [row] = await cluster.databases.query<{ n: number }>(
			"promotions",
			`select count(*)::int as n from redemptions
			where status = 'redeemed' and $1 = any(promotion_ids)`,
			[promotion],
		);
		return row!.n;
	}
	/** IDs of the orders that carry a promotion and are not cancelled. */
	async function ordersWith(promotion: string): Promise<string[]> {
		const rows = await cluster.databases.query<{ id: string }>(
			"orders",
			`select id from orders, json_array_elements(priced -> 'adjustments') as adjustment
			where adjustment ->> 'promotion_id' = $1 and status = 'confirmed' order by id`,
			[promotion],
		);
		return rows.map(({ id }) => id);
	}
	/** Waits until no order or cart is in progress, and asserts that all records agree. */
	async function expectSettled({ id }: Promotion, carts: readonly Cart[], uses: number) {
		await eventually(async () => {
			const open = await cluster.databases.query(
				"orders",
				"select from orders where saga_state is not null",
			);
			expect(open).toHaveLength(0);
			const rows = await cluster.databases.query<{ status: string; order_id: string | null }>(
				"carts",
				"select status, order_id from carts where id = any($1::uuid[])",
				[carts.map((cart) => cart.id)],
			);
			const completed = rows.filter(({ status }) => status === "completed");
			const stillOpen = rows.filter(({ status, order_id }) => status === "open" && !order_id);
			expect(completed.length + stillOpen.length).toBe(carts.length);
			const orders = await ordersWith(id);
			expect(orders).toHaveLength(uses);
			expect(completed.map(({ order_id }) => order_id)).toEqual(expect.arrayContaining(orders));
			expect(await redemptionsOf(id)).toBe(uses);
			const { used, spent } = await send(`GET /api/promotions/${id}`, { token: admin.token });
			expect({ used, spent }).toEqual({ used: uses, spent: uses * DISCOUNT });
		});
	}
	const cancel = (id: string) =>
		eventually(async () => {
			const { status } = await send(`POST /api/orders/${id}/cancel`, {
				token: admin.token,
				body: {},
			});
			expect(status).toBe("cancelled");
		});

	test.each<[string, object, { buyers: number; uses: number; returned: number; other: Kind }]>([
		[
			"a limit of uses",
			{ usage_limit: 100 },
			{ buyers: 200, uses: 100, returned: 30, other: "promotions" },
		],
		[
			"a budget",
			{ budget: 30 * DISCOUNT + 5 },
			{ buyers: 60, uses: 30, returned: 9, other: "carts" },
		],
	])(
		"%s is used up exactly while nodes are killed, and again after cancellations",
		async (_, limits, { buyers, uses, returned, other }) => {
			const promotion = await createCoupon(limits);
			const carts = await fillCarts(promotion, buyers);
			const outcomes = await checkOutDuringKills(promotion, carts, other);
			expect([count(outcomes, "ordered"), count(outcomes, "used up")]).toEqual([
				uses,
				buyers - uses,
			]);
			await expectSettled(promotion, carts, uses);

			const orders = await ordersWith(promotion.id);
			await Promise.all(orders.slice(0, returned).map(cancel));
			await expectSettled(promotion, carts, uses - returned);
			const others = withOutcome(carts, outcomes, "used up");
			expect(count(await checkOutAll(others), "ordered")).toBe(returned);
			await expectSettled(promotion, carts, uses);
		},
	);

	test("two devices of a customer use a coupon once", async () => {
		const promotion = await createCoupon({ usage_limit_per_customer: 1 });
		const guests = Array.from({ length: 15 }, (_, n) => [`guest-${n}@x.com`, `Guest-${n}@X.com`]);
		const devices = await Promise.all(
			guests.map((emails) => Promise.all(emails.map((email) => fillCart(promotion, { email })))),
		);
		const outcomes = await Promise.all(devices.map(checkOutAll));
		for (const both of outcomes) expect(both.toSorted()).toEqual(["ordered", "used up"]);

		// The devices of an account share its cart: both complete it, and only once.
		const { token } = await register(cluster);
		const first = await fillCart(promotion, { token });
		expect(await checkOutAll([first, first])).toEqual(["ordered", "ordered"]);
		const second = await fillCart(promotion, { token });
		expect(await checkOutAll([second, second])).toEqual(["used up", "used up"]);
		await expectSettled(promotion, [...devices.flat(), first, second], guests.length + 1);
	});

	test("the audit finds no violation", async () => {
		await eventually(async () => {
			const report = await walkAudit(cluster.call, { quiet: 0, recheck: 0 });
			expect(report).toMatchObject({ violations: [], skipped: 0, stuck: 0 });
		});
	});
});
