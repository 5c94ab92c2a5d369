import { COUPONS, nameOf } from "./carts.ts";
import { type Finding, finding, HOLDING } from "./checks.ts";
import type { Cluster } from "./cluster.ts";

interface CartRow {
	readonly id: string;
	readonly status: string;
	readonly order_id: string | null;
}
interface OrderRow {
	readonly id: string;
	readonly status: string;
	/** The account or the e-mail address of a guest. */
	readonly customer: string;
	/** Name in the address, which is that of the cart. */
	readonly name: string | null;
	readonly adjustments: readonly { readonly promotion_id: string; readonly amount: number }[];
}
interface PromotionRow {
	readonly id: string;
	readonly code: string | null;
	readonly used: number;
	readonly spent: number;
	/** Sums over the redemptions that were not released. */
	readonly redeemed: number;
	readonly redeemed_amount: number;
	readonly usage_limit: number | null;
	readonly customer_limit: number | null;
	readonly budget: number | null;
}
const CARTS = "select id, status, order_id from carts";
const ORDERS = `select id, status, coalesce(user_id::text, priced ->> 'email') as customer,
		priced -> 'shipping_address' ->> 'name' as name, priced -> 'adjustments' as adjustments
	from orders where priced is not null`;
const PROMOTIONS = `select id, code, used, spent::float8, usage_limit, customer_limit,
		budget::float8, count(amount)::int as redeemed,
		coalesce(sum(amount), 0)::float8 as redeemed_amount
	from promotions left join (
		select promotion_id, amount from redemptions,
			unnest(promotion_ids, amounts) as use (promotion_id, amount)
		where status = 'redeemed') uses on promotion_id = id
	group by id`;

/**
 * Checks that no cart was ordered twice, that every checkout has ended, and that the uses of each
 * promotion are those of the orders that carry it, within its limits.
 */
export async function checkCarts({ query }: Pick<Cluster, "query">): Promise<Finding[]> {
	const [carts, orders, promotions] = await Promise.all([
		query<CartRow>("carts", CARTS),
		query<OrderRow>("orders", ORDERS),
		query<PromotionRow>("promotions", PROMOTIONS),
	]);
	const live = orders.filter(({ status }) => HOLDING.includes(status));
	const liveByCart = Map.groupBy(live, ({ name }) => name);
	const byId = new Map(orders.map((order) => [order.id, order]));
	const known = new Set(carts.map(({ id }) => nameOf(id)));
	return [
		...carts.flatMap((cart) => [...checkCart(cart, liveByCart.get(nameOf(cart.id)) ?? [], byId)]),
		...live
			.filter(({ name }) => !known.has(name ?? ""))
			.map(({ id, name }) => finding("ORDER_WITHOUT_CART", id, `${name} does not exist`)),
		...promotions.flatMap((promotion) => [...checkUses(promotion, live)]),
	];
}

/** @param live orders of the cart that are not cancelled */
function* checkCart(
	{ id, status, order_id }: CartRow,
	live: readonly OrderRow[],
	orders: ReadonlyMap<string, OrderRow>,
): Iterable<Finding> {
	if (status === "completing")
		yield finding("CHECKOUT_OPEN", id, `the checkout of order ${order_id} has not ended`);
	if (live.length > 1)
		yield finding("CART_ORDERED_TWICE", id, live.map((order) => order.id).join(" and "));
	for (const order of live)
		if (status !== "completed" || order_id !== order.id)
			yield finding(
				"CART_NOT_COMPLETED",
				id,
				`it is ${status} with the order ${order_id}, but ${order.id} is ${order.status}`,
			);
	if (status === "completed" && orders.get(order_id!)?.name !== nameOf(id))
		yield finding("COMPLETED_WITHOUT_ORDER", id, `${order_id} is not an order of this cart`);
}

function* checkUses(
	{ id, code, used, spent, redeemed, redeemed_amount, ...limits }: PromotionRow,
	orders: readonly OrderRow[],
): Iterable<Finding> {
	const uses = orders.flatMap(({ customer, adjustments }) =>
		adjustments
			.filter(({ promotion_id }) => promotion_id === id)
			.map(({ amount }) => ({ customer, amount })),
	);
	const amount = uses.reduce((sum, use) => sum + use.amount, 0);
	const most = Math.max(
		0,
		...[...Map.groupBy(uses, ({ customer }) => customer).values()].map(({ length }) => length),
	);
	const subject = code ?? id;
	if (used !== uses.length || redeemed !== uses.length)
		yield finding(
			"WRONG_USES",
			subject,
			`${uses.length} orders carry it, it has ${redeemed} redemptions and counts ${used} uses`,
		);
	if (spent !== amount || redeemed_amount !== amount)
		yield finding(
			"WRONG_USES",
			subject,
			`orders have discounts of ${amount}, ` +
				`its redemptions have ${redeemed_amount} and it counts ${spent}`,
		);
	const exceeded = [
		[uses.length, limits.usage_limit, "orders"],
		[amount, limits.budget, "of discounts"],
		[most, limits.customer_limit, "orders of one customer"],
	] as const;
	for (const [value, limit, unit] of exceeded)
		if (limit !== null && value > limit)
			yield finding("LIMIT_EXCEEDED", subject, `${value} ${unit}, ${limit} are allowed`);
}

/** Creates the promotions of {@link COUPONS}. */
export async function createCoupons(create: (body: object) => Promise<unknown>): Promise<void> {
	for (const { code, amount, limits } of COUPONS)
		await create({ name: code, code, effect: { type: "amount_off", value: amount }, ...limits });
}
