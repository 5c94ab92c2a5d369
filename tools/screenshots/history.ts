import { firstIdAt } from "../../lib/persistence/id.ts";
import type { Databases } from "../../test/support/databases.ts";

const MINUTES = 60;

/**
 * Inserts completed orders of the last hour, the same number in each minute of every run.
 * @param now in milliseconds
 */
export async function insertHistory(databases: Databases, now: number): Promise<void> {
	const orders: { id: string; time: string; status: string; total: string }[] = [];
	for (let minute = 1; minute < MINUTES; minute++) {
		const count = Math.round(9 + 5 * Math.sin(minute / 6) + 3 * Math.sin(minute * 1.7));
		for (let n = 0; n < count; n++) {
			const at = new Date(now - minute * 60_000 + n);
			const suffix = `${minute}`.padStart(4, "0") + `${n}`.padStart(8, "0");
			orders.push({
				id: `${firstIdAt(at).slice(0, 24)}${suffix}`,
				time: at.toISOString(),
				status: (minute + n) % 9 === 0 ? "cancelled" : n % 2 ? "delivered" : "shipped",
				total: (15 + ((minute * 7 + n * 13) % 90) + 0.9).toFixed(2),
			});
		}
	}
	const column = (name: keyof (typeof orders)[number]) => orders.map((order) => order[name]);
	await databases.query(
		"orders",
		`insert into orders
			(id, created_at, updated_at, status, total_amount, currency, payment_token, items)
		select id, at, at, status, total, 'EUR', 'tok_ok', '[]'
		from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::numeric[])
			as w(id, at, status, total)`,
		[column("id"), column("time"), column("status"), column("total")],
	);
}
