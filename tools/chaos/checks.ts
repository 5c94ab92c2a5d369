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
}
const finding = (invariant: string, subject: string, detail: string): Finding => ({
	invariant,
	subject,
	detail,
});

/** How many orders are not settled, and how many events wait for another try. */
export async function unsettled({ query }: Pick<Cluster, "query">): Promise<number> {
	const [[open], ...waiting] = await Promise.all([
		query<{ n: number }>(
			"orders",
			"select count(*)::int as n from orders where saga_state is not null",
		),
		...CONSUMERS.map((service) =>
			query<{ n: number }>(service, "select count(*)::int as n from retries where dead_at is null"),
		),
	]);
	return open!.n + waiting.reduce((sum, [row]) => sum + row!.n, 0);
}
/** Nodes that ended because of an error that nothing caught: only faults may end a node. */
export const crashes = (members: readonly Pick<Member, "name" | "kind" | "log">[]): Finding[] =>
	members
		.filter(({ kind, log }) => kind === "node" && log().includes("It failed unexpectedly"))
		.map(({ name, log }) =>
			finding("NODE_CRASHED", name, /^.*It failed unexpectedly.*$/m.exec(log())![0].slice(0, 500)),
		);
const HOLDING = ["confirmed", "shipped", "delivered"];
const CONSUMERS = ["orders", "inventory", "notifications"] as const;

/** What the audit cannot know: what buyers were told, what there was at the beginning, and that everything came to an end. */
export async function check(
	cluster: Pick<Cluster, "query">,
	purchases: readonly Purchase[],
	stock: ReadonlyMap<string, number>,
): Promise<Finding[]> {
	const { query } = cluster;
	const stored = await query<Stored>(
		"orders",
		"select id, user_id, status, saga_state, cancellation_reason from orders",
	);
	const orders = new Map(stored.map((order) => [order.id, order]));
	const sold = await query<{ product_id: string; quantity: number }>(
		"orders",
		`select product_id, sum(quantity)::int as quantity from orders, json_to_recordset(items) as line (product_id uuid, quantity int)
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
	const books = await query<Booked>("payments", LEDGER);
	return [
		...books.flatMap((booked) => [...squared(booked, orders.get(booked.key))]),
		...stored
			.filter(({ saga_state }) => saga_state)
			.map(({ id, saga_state }) => finding("SAGA_OPEN", id, `its saga is ${saga_state}`)),
		...purchases.flatMap((purchase) => [...keptWord(purchase, orders)]),
		...oncePerKey(purchases, stored),
		...sold
			.filter(({ product_id, quantity }) => quantity > (stock.get(product_id) ?? 0))
			.map(({ product_id, quantity }) =>
				finding("OVERSOLD", product_id, `${quantity} sold of ${stock.get(product_id)}`),
			),
		...dead.flat().map(({ event_id }) => finding("DEAD_LETTER", event_id, "an event was given up")),
	];
}

interface Booked {
	readonly key: string;
	readonly authorized: number;
	readonly held: number;
}
/** The payment provider's books as they are, past everything that might tell them wrongly. */
const LEDGER = `select key, 0 as authorized, amount::float8
		- (select coalesce(sum(r.amount), 0) from ledger_refunds r where r.charge_key = c.key)::float8 as held
	from ledger_charges c where status = 'captured'
	union all select key, amount::float8, 0 from ledger_authorizations a where not exists (select from ledger_charges c where c.key = a.key)`;
/** What the provider holds belongs to an order that holds something, and is there once: under the order's own key. */
function* squared({ key, authorized, held }: Booked, order: Stored | undefined): Iterable<Finding> {
	if (authorized > 0)
		yield finding("AUTHORIZATION_OPEN", key, `${authorized} is set aside for good`);
	if (held > 0 && !HOLDING.includes(order?.status ?? ""))
		yield finding(
			"MONEY_KEPT",
			key,
			`the provider holds ${held} for an order that is ${order?.status ?? "unknown"}`,
		);
}

/** Whether an order is what its buyer was told. */
function* keptWord(
	{ key, order_id, answers, cancelTried, promised }: Purchase,
	orders: ReadonlyMap<string, Stored>,
): Iterable<Finding> {
	const named = new Set(
		answers.flatMap(({ status, body }) =>
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
			"the buyer was told of it, and it does not exist",
		);
	for (const { status, body } of answers) {
		if (
			status === 201 &&
			HOLDING.includes(body.status) &&
			order.status === "cancelled" &&
			!cancelTried
		)
			yield finding(
				"CONFIRMED_ORDER_CANCELLED",
				order_id,
				`the buyer was told that it is ${body.status}, and never cancelled it`,
			);
		if (status >= 400 && order.status !== "cancelled")
			yield finding(
				"REFUSED_ORDER_ALIVE",
				order_id,
				`the buyer was told ${body.code}, and it is ${order.status}`,
			);
	}
	const wanted = { cancel: ["cancelled"], ship: ["shipped", "delivered"], deliver: ["delivered"] };
	for (const verb of promised)
		if (!wanted[verb].includes(order.status))
			yield finding(
				"PROMISE_BROKEN",
				order_id,
				`${verb} was answered with 200, and it is ${order.status}`,
			);
}

/** Every order is one that somebody asked for, under one key. */
function* oncePerKey(purchases: readonly Purchase[], stored: readonly Stored[]): Iterable<Finding> {
	const told = new Set(purchases.map(({ order_id }) => order_id));
	const unanswered = Map.groupBy(
		purchases.filter(({ order_id, answers }) => !order_id && answers.length === 0),
		({ user_id }) => user_id,
	);
	const unknown = Map.groupBy(
		stored.filter(({ id }) => !told.has(id)),
		({ user_id }) => user_id,
	);
	for (const [user_id, orders] of unknown) {
		const keys = unanswered.get(user_id)?.length ?? 0;
		if (orders.length > keys)
			yield finding(
				"MORE_ORDERS_THAN_REQUESTS",
				user_id,
				`${orders.length} orders that answer none of its requests`,
			);
	}
	const known = new Map<string, number>();
	for (const { order_id } of purchases)
		if (order_id) known.set(order_id, (known.get(order_id) ?? 0) + 1);
	for (const [order_id, keys] of known)
		if (keys > 1)
			yield finding("ONE_ORDER_FOR_TWO_KEYS", order_id, `${keys} keys were answered with it`);
}
