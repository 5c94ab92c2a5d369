import type pg from "pg";
import type { OrderRecord, ShopState } from "./invariants.ts";
import type { SeedHistory } from "./seed-history.ts";
import type { ServiceDatabase } from "./shop-seed-history.ts";
import type { Target } from "./target.ts";

/** Message ids are UUIDv7, so that they can be compared with the last id of the seed history. */
const COUNT_CONFIRMATION_MAILS =
	"select count(*) from messages where id > $1 and template = 'order_confirmed'";
const FROM_CONFIRMED_ORDERS =
	"from orders where id > $1 and status in ('confirmed', 'shipped', 'delivered')";

/** Older revisions store the lines in the table order_items. */
const ORDER_LINES =
	"coalesce(to_json(orders) -> 'items', " +
	"(select json_agg(order_items) from order_items where order_id = orders.id))";

/** Returns functions that read the state of a shop from its databases. */
export function shopStateReader(
	serviceDatabases: readonly ServiceDatabase[],
	history: SeedHistory,
): Pick<Target, "isSettled" | "findOrders" | "readState"> {
	const newerThanHistory = [history.endId];
	const query = async <Row extends pg.QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]> => {
		const { server, database } = serviceDatabases.find((entry) => entry.service === service)!;
		return server.query<Row>(database, text, values);
	};
	const count = async (service: string, text: string, values?: unknown[]) =>
		Number(Object.values((await query<Record<string, string>>(service, text, values))[0]!)[0]);
	const quantities = async (service: string, text: string, values?: unknown[]) =>
		new Map(
			(await query<{ id: string; n: number }>(service, text, values)).map(({ id, n }) => [id, n]),
		);

	return {
		// The confirmation e-mail is the last effect of an order.
		async isSettled() {
			if ((await count("orders", "select count(*) from orders where saga_state is not null")) > 0)
				return false;
			const [orders, mails, ...unfinished] = await Promise.all([
				count("orders", `select count(*) ${FROM_CONFIRMED_ORDERS}`, newerThanHistory),
				count("notifications", COUNT_CONFIRMATION_MAILS, newerThanHistory),
				count("notifications", "select count(*) from messages where status = 'queued'"),
				...serviceDatabases.map(({ service }) =>
					count(service, "select count(*) from retries where dead_at is null"),
				),
			]);
			return orders === mails && unfinished.every((n) => n === 0);
		},

		async findOrders(ids) {
			return query<OrderRecord & pg.QueryResultRow>(
				"orders",
				"select id, status from orders where id = any($1::uuid[])",
				[ids],
			);
		},

		async readState(): Promise<ShopState> {
			const [statuses, sold, reserved, total, payments, shipments, mails] = await Promise.all([
				query<{ status: string; n: number }>(
					"orders",
					"select status, count(*)::int as n from orders where id > $1 group by status",
					newerThanHistory,
				),
				quantities(
					"orders",
					`select product_id as id, sum(quantity)::int as n
					from (select ${ORDER_LINES} as lines ${FROM_CONFIRMED_ORDERS}) new,
						json_to_recordset(lines) as line (product_id uuid, quantity int) group by 1`,
					newerThanHistory,
				),
				quantities(
					"inventory",
					"select product_id as id, reserved as n from stock where reserved > 0",
				),
				count(
					"orders",
					`select coalesce(sum(total_amount), 0) ${FROM_CONFIRMED_ORDERS}`,
					newerThanHistory,
				),
				query<{ n: number; amount: string }>(
					"payments",
					`select count(*)::int as n, coalesce(sum(amount), 0) as amount from payments
						where order_id > $1 and status = 'captured'`,
					newerThanHistory,
				),
				count(
					"shipping",
					"select count(*) from shipments where order_id > $1 and status = 'scheduled'",
					newerThanHistory,
				),
				count("notifications", COUNT_CONFIRMATION_MAILS, newerThanHistory),
			]);
			const countOf = (...included: string[]) =>
				statuses
					.filter(({ status }) => included.includes(status))
					.reduce((sum, { n }) => sum + n, 0);
			const fulfillment = {
				payments: payments[0]!.n,
				shipments,
				mails,
				amount: Number(payments[0]!.amount),
				total,
			};
			return {
				confirmed: countOf("confirmed", "shipped", "delivered"),
				cancelled: countOf("cancelled"),
				open: countOf("pending"),
				sold,
				reserved,
				fulfillment,
			};
		},
	};
}
