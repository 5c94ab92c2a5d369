import type { Postgres } from "./postgres.ts";
import { commerceRows } from "./seed-carts.ts";
import {
	INITIAL_STOCK,
	insertRows,
	SESSIONS_PER_USER,
	type SeedHistory,
	type SeedRows,
} from "./seed-history.ts";

/** Share of the 90 days of orders whose events are still retained (7 days in the outbox). */
const RETAINED_SHARE = 7 / 90;

/** Database of a service. */
export interface ServiceDatabase {
	readonly service: string;
	readonly server: Postgres;
	readonly database: string;
}

/**
 * Outbox rows of seed orders. Their transaction id is below all others, so that every relay regards
 * them as published.
 */
const publishedEvents = (
	history: SeedHistory,
	from: number,
	type: string,
	data = "json_build_object('order_id', {id})",
): SeedRows => ({
	table: "outbox",
	from,
	to: history.size.orders,
	columns: {
		xid: "'0'::xid8",
		id: history.sqlId("order", "n", type),
		type: `'${type}'`,
		subject: `${history.sqlId("order")}::text`,
		data: data.replace("{id}", history.sqlId("order")),
		time: history.sqlTime("order"),
	},
});
/** Inbox rows of seed orders. */
const consumedEvents = (
	history: SeedHistory,
	from: number,
	group: string,
	type: string,
): SeedRows => ({
	table: "inbox",
	from,
	to: history.size.orders,
	columns: {
		group_name: `'${group}'`,
		event_id: history.sqlId("order", "n", type),
		time: history.sqlTime("order"),
	},
});

/** Rows of each service. All seed orders are paid and delivered. */
function rowsByService(history: SeedHistory): Readonly<Record<string, readonly SeedRows[]>> {
	const { products, users, orders } = history.size;
	const recent = Math.floor(orders * (1 - RETAINED_SHARE));
	const { id: order, user_id: buyer, total_amount: amount } = history.order;
	const times = (kind: "order" | "product" | "user") => ({
		created_at: history.sqlTime(kind),
		updated_at: history.sqlTime(kind),
	});
	const eventData = `json_build_object('order_id', {id}, 'user_id', ${buyer},
		'total_amount', ${amount}, 'currency', 'EUR')`;
	return {
		users: [
			{
				table: "users",
				to: users,
				columns: {
					...history.user,
					full_name: "'Buyer ' || n",
					role: "'user'",
					is_verified: "true",
					...times("user"),
				},
			},
		],
		auth: [
			{
				table: "sessions",
				to: users * SESSIONS_PER_USER,
				columns: {
					id: history.sqlId("session"),
					user_id: history.sqlId("user", `n / ${SESSIONS_PER_USER}`),
					created_at: history.sqlTime("session"),
					expires_at: `${history.sqlTime("session")} + interval '30 days'`,
				},
			},
			{
				table: "refresh_tokens",
				to: users * SESSIONS_PER_USER,
				columns: {
					token_hash: "sha256(('token' || n)::bytea)",
					session_id: history.sqlId("session"),
					created_at: history.sqlTime("session"),
				},
			},
		],
		products: [
			{
				table: "products",
				to: products,
				columns: {
					...history.product,
					sku: "'SKU-' || n",
					in_stock: "true",
					updated_at: history.sqlTime("product"),
				},
			},
		],
		inventory: [
			{
				table: "stock",
				to: products,
				columns: {
					product_id: history.sqlId("product"),
					on_hand: String(INITIAL_STOCK),
					reserved: "0",
					...times("product"),
				},
			},
			{
				table: "reservations",
				to: orders,
				columns: {
					order_id: order,
					status: "'fulfilled'",
					product_ids: `array(select ${history.line.product_id} from ${history.lines})`,
					quantities: `array(select 1 from ${history.lines})`,
					...times("order"),
				},
			},
			publishedEvents(history, recent, "inventory.reserved"),
			consumedEvents(history, recent, "inventory", "order.shipped"),
		],
		orders: [
			{
				table: "orders",
				to: orders,
				columns: {
					...history.order,
					items: history.items,
					currency: "'EUR'",
					payment_token: "'tok_ok'",
					updated_at: history.sqlTime("order"),
				},
			},
			{
				// Order lines of older revisions.
				table: "order_items",
				skipIfColumn: "orders.items",
				to: orders,
				join: `cross join lateral ${history.lines}`,
				columns: {
					order_id: order,
					position: "k",
					product_id: history.line.product_id,
					name: history.line.name,
					quantity: "1",
					unit_price: history.line.price,
					line_total: history.line.price,
				},
			},
			...["created", "confirmed", "shipped", "delivered"].map((step) =>
				publishedEvents(history, recent, `order.${step}`, eventData),
			),
			...["dispatched", "delivered"].map((step) =>
				consumedEvents(history, recent, "orders", `shipment.${step}`),
			),
			{
				// Keys within their retention of 24 hours, for one order in 200.
				table: "idempotency_keys",
				to: Math.floor(orders / 200),
				columns: {
					user_id: buyer,
					action: "'orders.create'",
					key: "'key-' || n",
					body_hash: "md5(n::text)",
					status: "201",
					created_at: "now() - interval '12 hours'",
				},
			},
		],
		payments: [
			{
				table: "payments",
				to: orders,
				columns: {
					id: history.sqlId("order", "n", "payment"),
					order_id: order,
					user_id: buyer,
					amount,
					currency: "'EUR'",
					status: "'captured'",
					...times("order"),
				},
			},
			{
				table: "ledger_charges",
				to: orders,
				columns: {
					key: `${order}::text`,
					status: "'captured'",
					amount,
					currency: "'EUR'",
					at: history.sqlTime("order"),
				},
			},
			publishedEvents(history, recent, "payment.captured"),
		],
		shipping: [
			{
				table: "shipments",
				to: orders,
				columns: {
					id: history.sqlId("order", "n", "shipment"),
					order_id: order,
					user_id: buyer,
					status: "'delivered'",
					tracking_number: "'T' || n",
					...times("order"),
				},
			},
			...["scheduled", "dispatched", "delivered"].map((step) =>
				publishedEvents(history, recent, `shipment.${step}`),
			),
		],
		notifications: ["confirmed", "shipped", "delivered"].flatMap((step) => [
			{
				table: "messages",
				to: orders,
				columns: {
					id: history.sqlId("order", "n", `message ${step}`),
					user_id: buyer,
					event_id: history.sqlId("order", "n", `order.${step}`),
					channel: "'email'",
					template: `'order_${step}'`,
					subject: `'Your order is ${step}'`,
					data: `json_build_object('order_id', ${order},
					'total_amount', ${amount}, 'currency', 'EUR')::jsonb`,
					status: "'kept'",
					created_at: history.sqlTime("order"),
				},
			},
			consumedEvents(history, recent, "notifications", `order.${step}`),
		]),
	};
}

/** Approximate number of rows that insertSeedHistory inserts. */
export const countSeedRows = (history: SeedHistory): number =>
	[rowsByService(history), commerceRows(history)]
		.flatMap((rows) => Object.values(rows).flat())
		.reduce((sum, { from = 0, to }) => sum + to - from, 0);

/** Inserts the seed history into the migrated databases in parallel, then runs VACUUM ANALYZE. */
export async function insertSeedHistory(
	history: SeedHistory,
	serviceDatabases: readonly ServiceDatabase[],
	onRows: (n: number) => void = () => undefined,
): Promise<void> {
	const [rows, commerce] = [rowsByService(history), commerceRows(history)];
	await Promise.all(
		serviceDatabases.map(async ({ service, server, database }) => {
			const own = [...(rows[service] ?? []), ...(commerce[service] ?? [])];
			await insertRows(server, database, own, onRows);
			await server.query(database, "vacuum analyze");
		}),
	);
}
