import type { Purchase } from "./buyers.ts";
import type { Cluster } from "./cluster.ts";
import type { Member } from "./members.ts";

export interface Finding {
	readonly invariant: string;
	readonly subject: string;
	readonly detail: string;
}
interface Stored {
	readonly id: string;
	readonly user_id: string;
	readonly status: string;
	readonly saga_state: string | null;
	readonly cancellation_reason: string | null;
	/** Whether a cart has placed it. */
	readonly is_from_cart: boolean;
}
export const finding = (invariant: string, subject: string, detail: string): Finding => ({
	invariant,
	subject,
	detail,
});

/** Number of orders with a running saga, plus events that wait for a retry. */
export async function unsettled({ query }: Pick<Cluster, "query">): Promise<number> {
	const [[open], ...retries] = await Promise.all([
		query<{ n: number }>(
			"orders",
			"select count(*)::int as n from orders where saga_state is not null",
		),
		...CONSUMERS.map((service) =>
			query<{ n: number }>(service, "select count(*)::int as n from retries where dead_at is null"),
		),
	]);
	return open!.n + retries.reduce((sum, [row]) => sum + row!.n, 0);
}
/** Nodes that crashed because of an uncaught error: only faults may end a node. */
export const crashes = (members: readonly Pick<Member, "name" | "kind" | "log">[]): Finding[] =>
	members
		.filter(({ kind, log }) => kind === "node" && log().includes("Unexpected failure"))
		.map(({ name, log }) =>
			finding("NODE_CRASHED", name, /^.*Unexpected failure[\s\S]{0,4000}/m.exec(log())![0]),
		);
export const HOLDING = ["confirmed", "shipped", "delivered"];
const CONSUMERS = ["orders", "inventory", "notifications", "carts"] as const;

/**
 * Checks beyond the audit: responses to buyers, initial stock, and that every saga and event ended.
 * @param checkouts purchases through carts
 */
export async function check(
	cluster: Pick<Cluster, "query">,
	purchases: readonly Purchase[],
	checkouts: readonly Purchase[],
	stock: ReadonlyMap<string, number>,
): Promise<Finding[]> {
	const { query } = cluster;
	const stored = await query<Stored>(
		"orders",
		`select id, user_id, status, saga_state, cancellation_reason,
			priced is not null as is_from_cart from orders`,
	);
	const orders = new Map(stored.map((order) => [order.id, order]));
	const sold = await query<{ product_id: string; quantity: number }>(
		"orders",
		`select product_id, sum(quantity)::int as quantity
			from orders, json_to_recordset(items) as line (product_id uuid, quantity int)
		where status in ('confirmed', 'shipped', 'delivered') group by product_id`,
	);
	const dead = await Promise.all(
		CONSUMERS.map((service) =>
			query<{ event_id: string }>(
				service,
				"select event_id from retries where dead_at is not null",
			),
		),
	);
	const ledger = await query<LedgerEntry>("payments", LEDGER);
	return [
		...ledger.flatMap((entry) => [...checkLedger(entry, orders.get(entry.key))]),
		...stored
			.filter(({ saga_state }) => saga_state)
			.map(({ id, saga_state }) => finding("SAGA_OPEN", id, `its saga is still ${saga_state}`)),
		...[...purchases, ...checkouts].flatMap((purchase) => [...checkResponses(purchase, orders)]),
		...checkKeys(
			purchases,
			stored.filter(({ is_from_cart }) => !is_from_cart),
		),
		...sold
			.filter(({ product_id, quantity }) => quantity > (stock.get(product_id) ?? 0))
			.map(({ product_id, quantity }) =>
				finding("OVERSOLD", product_id, `${quantity} sold of ${stock.get(product_id)}`),
			),
		...dead
			.flat()
			.map(({ event_id }) => finding("DEAD_LETTER", event_id, "an event failed its last attempt")),
	];
}

interface LedgerEntry {
	readonly key: string;
	readonly authorized: number;
	readonly held: number;
}
/** The payment provider's ledger, read directly from its tables. */
const LEDGER = `select key, 0 as authorized, (amount
		- (select coalesce(sum(r.amount), 0) from ledger_refunds r
			where r.charge_key = c.key))::float8 as held
	from ledger_charges c where status = 'captured'
	union all select key, amount::float8, 0 from ledger_authorizations a
		where not exists (select from ledger_charges c where c.key = a.key)`;
/** The provider holds money only under the key of an order that is confirmed or further. */
function* checkLedger(
	{ key, authorized, held }: LedgerEntry,
	order: Stored | undefined,
): Iterable<Finding> {
	if (authorized > 0) yield finding("AUTHORIZATION_OPEN", key, `${authorized} remains authorized`);
	if (held > 0 && !HOLDING.includes(order?.status ?? ""))
		yield finding(
			"MONEY_KEPT",
			key,
			`the provider holds ${held} for an order that is ${order?.status ?? "unknown"}`,
		);
}

/** Compares an order with the responses that its buyer received. */
function* checkResponses(
	{ key, order_id, responses, cancelRequested, acknowledged }: Purchase,
	orders: ReadonlyMap<string, Stored>,
): Iterable<Finding> {
	const named = new Set(
		responses.flatMap(({ status, body }) =>
			status < 400 ? [body.id] : body.order_id ? [body.order_id] : [],
		),
	);
	if (named.size > 1) yield finding("TWO_ORDERS_FOR_ONE_KEY", key, [...named].join(" and "));
	if (!order_id) return;
	const order = orders.get(order_id);
	if (!order)
		return yield finding(
			"ACKNOWLEDGED_ORDER_LOST",
			order_id,
			"the buyer received its id, and it does not exist",
		);
	for (const { status, body } of responses) {
		if (
			status === 201 &&
			HOLDING.includes(body.status) &&
			order.status === "cancelled" &&
			!cancelRequested
		)
			yield finding(
				"CONFIRMED_ORDER_CANCELLED",
				order_id,
				`the buyer received the status ${body.status} and did not request a cancellation`,
			);
		if (status >= 400 && order.status !== "cancelled")
			yield finding(
				"REFUSED_ORDER_ALIVE",
				order_id,
				`the buyer received ${body.code}, and the status is ${order.status}`,
			);
	}
	const allowed = { cancel: ["cancelled"], ship: ["shipped", "delivered"], deliver: ["delivered"] };
	for (const verb of acknowledged)
		if (!allowed[verb].includes(order.status))
			yield finding(
				"PROMISE_BROKEN",
				order_id,
				`${verb} returned 200, and the status is ${order.status}`,
			);
}

/** Each order belongs to exactly one request key. */
function* checkKeys(purchases: readonly Purchase[], stored: readonly Stored[]): Iterable<Finding> {
	const known = new Set(purchases.map(({ order_id }) => order_id));
	const withoutResponse = Map.groupBy(
		purchases.filter(({ order_id, responses }) => !order_id && responses.length === 0),
		({ user_id }) => user_id,
	);
	const unknown = Map.groupBy(
		stored.filter(({ id }) => !known.has(id)),
		({ user_id }) => user_id,
	);
	for (const [user_id, orders] of unknown) {
		const keys = withoutResponse.get(user_id)?.length ?? 0;
		if (orders.length > keys)
			yield finding(
				"MORE_ORDERS_THAN_REQUESTS",
				user_id,
				`${orders.length} orders without a matching request`,
			);
	}
	const keysByOrder = new Map<string, number>();
	for (const { order_id } of purchases)
		if (order_id) keysByOrder.set(order_id, (keysByOrder.get(order_id) ?? 0) + 1);
	for (const [order_id, keys] of keysByOrder)
		if (keys > 1) yield finding("ONE_ORDER_FOR_TWO_KEYS", order_id, `returned for ${keys} keys`);
}
