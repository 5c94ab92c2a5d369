import { Errors } from "moleculer";
import { boundedQueue } from "../../lib/async/bounded-queue.ts";
import { lru } from "../../lib/caching/lru.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { type Database, sql } from "../../lib/persistence/database.ts";
import { firstIdAt } from "../../lib/persistence/id.ts";
import type { statistic } from "./orders.contract.admin.ts";
import type { Periods } from "./orders.statistics.rules.ts";

type Statistic = Infer<typeof statistic>;

/** Shortest and longest time in milliseconds for which a result is cached. */
const MIN_TTL_MS = 3000;
const MAX_TTL_MS = 60_000;
/** A result is cached for this multiple of the time that it took, so polls cause a bounded load. */
const TTL_FACTOR = 10;
const MAX_CACHE_BYTES = 8 * 1024 * 1024;
const ROW_BYTES = 250;
/** Waiting queries per node. */
const MAX_WAITING = 20;

/** Statuses of orders that count as revenue. */
const CONFIRMED = "('confirmed', 'shipped', 'delivered')";
/**
 * Orders from ID `$1` to before ID `$2`, by the interval `$5` of the time from `$3` to before `$4`.
 * An order is in the period of its ID; `created_at` can differ from it by the time that the
 * checkout of a cart took.
 */
const STATISTICS = sql(
	"statistics",
	`select time, currency, count(*) as placed,
		count(*) filter (where status in ${CONFIRMED}) as confirmed,
		count(*) filter (where status = 'cancelled') as cancelled,
		coalesce(sum(total_amount) filter (where status in ${CONFIRMED}), 0) as revenue
	from (
		select date_bin($5::interval, greatest($3::timestamptz,
				least(created_at, $4::timestamptz - interval '1 microsecond')),
			timestamptz 'epoch') as time, currency, status, total_amount
		from orders where id >= $1 and id < $2) as placed
	group by time, currency order by time, currency`,
);

/**
 * Statistics of orders. Only one query at a time runs on a node, because a long period occupies a
 * connection for seconds that placing orders needs as well.
 */
export function createStatistics(db: Database, node: { readonly nodeID: string }) {
	const call = { action: "orders.statistics", nodeID: node.nodeID };
	const queries = boundedQueue({
		concurrency: 1,
		limit: MAX_WAITING,
		full: () => new Errors.QueueIsFullError(call),
		expired: () => new Errors.RequestTimeoutError(call),
	});
	const cache = lru<Statistic[]>({
		maxBytes: MAX_CACHE_BYTES,
		sizeOf: ({ length }) => (length + 1) * ROW_BYTES,
	});

	return async ({ from, to, interval }: Periods): Promise<Statistic[]> => {
		const key = `${from.getTime()} ${to.getTime()} ${interval}`;
		const cached = () => cache.get(key);
		return cached() ?? queries.run(async () => cached() ?? (await load()));

		async function load(): Promise<Statistic[]> {
			const start = performance.now();
			const ids = [firstIdAt(from), firstIdAt(to)];
			const rows = await db.query<Statistic>(STATISTICS, [...ids, from, to, `1 ${interval}`]);
			const ttl = Math.max(MIN_TTL_MS, (performance.now() - start) * TTL_FACTOR);
			cache.set(key, rows, { ttl: Math.min(MAX_TTL_MS, ttl) });
			return rows;
		}
	};
}
