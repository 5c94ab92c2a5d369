import bcrypt from "bcryptjs";
import { insert, ON_HAND, type Past, type Rows, SESSIONS_EACH } from "./past.ts";
import type { Postgres } from "./postgres.ts";

export const PASSWORD = "correct horse battery staple";
/** Events are kept for a week, notes that they came in for a day more. */
const WEEK = 7 / 90;

/** Where a service keeps its data. */
export interface Place {
	readonly service: string;
	readonly server: Postgres;
	readonly database: string;
}

/** Events of past orders. With a transaction number below all others they count as handed over, by whoever reads the outbox and wherever to. */
const told = (past: Past, from: number, type: string, data = "json_build_object('order_id', {id})"): Rows => ({
	table: "outbox",
	from,
	to: past.size.orders,
	columns: {
		xid: "'0'::xid8",
		id: past.sqlId("order", "n", type),
		type: `'${type}'`,
		subject: `${past.sqlId("order")}::text`,
		data: data.replace("{id}", past.sqlId("order")),
		time: past.sqlTime("order"),
	},
});
const heard = (past: Past, from: number, group: string, type: string): Rows => ({
	table: "inbox",
	from,
	to: past.size.orders,
	columns: { group_name: `'${group}'`, event_id: past.sqlId("order", "n", type), time: past.sqlTime("order") },
});

/** What each service has kept of products, users, and orders that were all paid and delivered. */
function rowsOf(past: Past): Readonly<Record<string, readonly Rows[]>> {
	const { products, users, orders } = past.size;
	const recent = Math.floor(orders * (1 - WEEK));
	const { id: order, user_id: buyer, total_amount: amount } = past.order;
	const times = (kind: "order" | "product" | "user") => ({ created_at: past.sqlTime(kind), updated_at: past.sqlTime(kind) });
	const fact = `json_build_object('order_id', {id}, 'user_id', ${buyer}, 'total_amount', ${amount}, 'currency', 'EUR')`;
	const hash = bcrypt.hashSync(PASSWORD, 10);
	return {
		users: [
			{
				table: "users",
				to: users,
				columns: {
					id: past.sqlId("user"),
					email: "'buyer' || n || '@example.com'",
					full_name: "'Buyer ' || n",
					hashed_password: `'${hash}'`,
					role: "'user'",
					is_verified: "true",
					...times("user"),
				},
			},
		],
		auth: [
			{
				table: "sessions",
				to: users * SESSIONS_EACH,
				columns: {
					id: past.sqlId("session"),
					user_id: past.sqlId("user", `n / ${SESSIONS_EACH}`),
					created_at: past.sqlTime("session"),
					expires_at: `${past.sqlTime("session")} + interval '30 days'`,
				},
			},
			{
				table: "refresh_tokens",
				to: users * SESSIONS_EACH,
				columns: {
					token_hash: "sha256(('token' || n)::bytea)",
					session_id: past.sqlId("session"),
					created_at: past.sqlTime("session"),
				},
			},
		],
		products: [
			{
				table: "products",
				to: products,
				columns: { ...past.product, sku: "'SKU-' || n", updated_at: past.sqlTime("product") },
			},
		],
		inventory: [
			{
				table: "stock",
				to: products,
				columns: { product_id: past.sqlId("product"), on_hand: String(ON_HAND), reserved: "0", ...times("product") },
			},
			{
				table: "reservations",
				to: orders,
				columns: {
					order_id: order,
					status: "'fulfilled'",
					product_ids: `array(select ${past.line.product_id} from ${past.lines})`,
					quantities: `array(select 1 from ${past.lines})`,
					...times("order"),
				},
			},
			told(past, recent, "inventory.reserved"),
			heard(past, recent, "inventory", "order.shipped"),
		],
		orders: [
			{
				table: "orders",
				to: orders,
				columns: { ...past.order, items: past.items, currency: "'EUR'", payment_token: "'tok_ok'", updated_at: past.sqlTime("order") },
			},
			{
				// Where other revisions keep them.
				table: "order_items",
				unless: "orders.items",
				to: orders,
				each: `cross join lateral ${past.lines}`,
				columns: {
					order_id: order,
					position: "k",
					product_id: past.line.product_id,
					name: past.line.name,
					quantity: "1",
					unit_price: past.line.price,
					line_total: past.line.price,
				},
			},
			...["created", "confirmed", "shipped", "delivered"].map((step) => told(past, recent, `order.${step}`, fact)),
			...["dispatched", "delivered"].map((step) => heard(past, recent, "orders", `shipment.${step}`)),
			{
				// Yesterday's, of those who ordered with a key.
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
					id: past.sqlId("order", "n", "payment"),
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
				columns: { key: `${order}::text`, status: "'captured'", amount, currency: "'EUR'", at: past.sqlTime("order") },
			},
			told(past, recent, "payment.captured"),
		],
		shipping: [
			{
				table: "shipments",
				to: orders,
				columns: {
					id: past.sqlId("order", "n", "shipment"),
					order_id: order,
					user_id: buyer,
					status: "'delivered'",
					tracking_number: "'T' || n",
					...times("order"),
				},
			},
			...["scheduled", "dispatched", "delivered"].map((step) => told(past, recent, `shipment.${step}`)),
		],
		notifications: ["confirmed", "shipped", "delivered"].flatMap((step) => [
			{
				table: "messages",
				to: orders,
				columns: {
					id: past.sqlId("order", "n", `message ${step}`),
					user_id: buyer,
					event_id: past.sqlId("order", "n", `order.${step}`),
					channel: "'email'",
					template: `'order_${step}'`,
					subject: `'Your order is ${step}'`,
					data: `json_build_object('order_id', ${order}, 'total_amount', ${amount}, 'currency', 'EUR')::jsonb`,
					status: "'kept'",
					created_at: past.sqlTime("order"),
				},
			},
			heard(past, recent, "notifications", `order.${step}`),
		]),
	};
}

/** How many rows there will be, give or take. */
export const rowsInAll = (past: Past): number =>
	Object.values(rowsOf(past))
		.flat()
		.reduce((sum, { from = 0, to }) => sum + to - from, 0);

/** Fills the migrated, empty databases of a shop with its past, all at the same time, and has Postgres look at them. */
export async function fill(past: Past, places: readonly Place[], onRows: (n: number) => void = () => undefined): Promise<void> {
	const rows = rowsOf(past);
	await Promise.all(
		places.map(async ({ service, server, database }) => {
			await insert(server, database, rows[service] ?? [], onRows);
			await server.query(database, "vacuum analyze");
		}),
	);
}
