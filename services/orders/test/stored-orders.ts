import { randomUUID } from "node:crypto";
import { firstIdAt } from "../../../lib/persistence/id.ts";
import type { Shop } from "../../../test/support/shop.ts";
import type { Status } from "../orders.rules.ts";

interface StoredOrder {
	readonly placed: string;
	readonly status?: Status;
	readonly total?: string;
	readonly currency?: string;
	readonly user_id?: string | null;
	readonly email?: string | null;
}
/** An ID of an order that was placed at this time. */
const idAt = (time: string): string =>
	firstIdAt(new Date(time)).slice(0, 19) + randomUUID().slice(19);

/** Inserts orders without open sagas. Returns their IDs. */
export async function storeOrders(
	{ databases }: Pick<Shop, "databases">,
	orders: readonly StoredOrder[],
): Promise<string[]> {
	const ids = orders.map(({ placed }) => idAt(placed));
	await databases.query(
		"orders",
		`insert into orders (id, created_at, updated_at, status, total_amount, currency, user_id, email,
			payment_token, items)
		select id, at, at, status, total, currency, user_id, email, 'tok_ok', '[]'
		from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::numeric[], $5::text[], $6::uuid[],
			$7::text[]) as w(id, at, status, total, currency, user_id, email)`,
		[
			ids,
			orders.map(({ placed }) => placed),
			orders.map(({ status = "confirmed" }) => status),
			orders.map(({ total = "10" }) => total),
			orders.map(({ currency = "EUR" }) => currency),
			orders.map(({ user_id = null }) => user_id),
			orders.map(({ email = null }) => email),
		],
	);
	return ids;
}
