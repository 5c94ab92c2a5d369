import type pg from "pg";
import type { Books, Placed } from "./books.ts";
import type { Past } from "./past.ts";
import type { Place } from "./shop-past.ts";
import type { Target } from "./target.ts";

/** Ids of messages grow with time as those of orders do. */
const MAILS = "select count(*) from messages where id > $1 and template = 'order_confirmed'";
const OF_NEW = "from orders where id > $1 and status in ('confirmed', 'shipped', 'delivered')";

/** Other revisions keep them in a table of their own. */
const LINES = "coalesce(to_json(orders) -> 'items', (select json_agg(order_items) from order_items where order_id = orders.id))";

/** Reads a shop's databases. */
export function shopBooks(places: readonly Place[], past: Past): Pick<Target, "settled" | "find" | "books"> {
	const since = [past.end];
	const ask = async <Row extends pg.QueryResultRow>(service: string, text: string, values?: unknown[]): Promise<Row[]> => {
		const { server, database } = places.find((place) => place.service === service)!;
		return server.query<Row>(database, text, values);
	};
	const count = async (service: string, text: string, values?: unknown[]) =>
		Number(Object.values((await ask<Record<string, string>>(service, text, values))[0]!)[0]);
	const pieces = async (service: string, text: string, values?: unknown[]) =>
		new Map((await ask<{ id: string; n: number }>(service, text, values)).map(({ id, n }) => [id, n]));

	return {
		/** The e-mail is the last that comes of an order. */
		async settled() {
			if ((await count("orders", "select count(*) from orders where saga_state is not null")) > 0) return false;
			const [orders, mails, ...late] = await Promise.all([
				count("orders", `select count(*) ${OF_NEW}`, since),
				count("notifications", MAILS, since),
				count("notifications", "select count(*) from messages where status = 'queued'"),
				...places.map(({ service }) => count(service, "select count(*) from retries where dead_at is null")),
			]);
			return orders === mails && late.every((n) => n === 0);
		},

		async find(ids) {
			return ask<Placed & pg.QueryResultRow>("orders", "select id, status from orders where id = any($1::uuid[])", [ids]);
		},

		async books(): Promise<Books> {
			const [statuses, sold, taken, total, payments, shipments, mails] = await Promise.all([
				ask<{ status: string; n: number }>("orders", "select status, count(*)::int as n from orders where id > $1 group by status", since),
				pieces(
					"orders",
					`select product_id as id, sum(quantity)::int as n
					from (select ${LINES} as lines ${OF_NEW}) new, json_to_recordset(lines) as line (product_id uuid, quantity int) group by 1`,
					since,
				),
				pieces("inventory", "select product_id as id, reserved as n from stock where reserved > 0"),
				count("orders", `select coalesce(sum(total_amount), 0) ${OF_NEW}`, since),
				ask<{ n: number; amount: string }>(
					"payments",
					"select count(*)::int as n, coalesce(sum(amount), 0) as amount from payments where order_id > $1 and status = 'captured'",
					since,
				),
				count("shipping", "select count(*) from shipments where order_id > $1 and status = 'scheduled'", since),
				count("notifications", MAILS, since),
			]);
			const of = (...wanted: string[]) => statuses.filter(({ status }) => wanted.includes(status)).reduce((sum, { n }) => sum + n, 0);
			const paid = { payments: payments[0]!.n, shipments, mails, amount: Number(payments[0]!.amount), total };
			return { confirmed: of("confirmed", "shipped", "delivered"), cancelled: of("cancelled"), open: of("pending"), sold, taken, paid };
		},
	};
}
