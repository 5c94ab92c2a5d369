import { randomUUID } from "node:crypto";
import type { Connection } from "./client.ts";
import { slope } from "./figures.ts";
import { Meter, mapValues } from "./measure.ts";
import type { Postgres } from "./postgres.ts";
import { placeOrderOfOneItem, type Scenario, type ScenarioData, scenarios } from "./scenarios.ts";
import type { Shop } from "./shop.ts";

/**
 * Tables that pruning keeps bounded. The condition selects overdue rows, which should have been
 * pruned; it allows for a delay of one or two minutes.
 */
const PRUNED_TABLES: readonly (readonly [
	table: string,
	services: readonly string[] | "all",
	overdue: string,
])[] = [
	["outbox", "all", "time < now() - interval '7 days 3 minutes'"],
	["inbox", "all", "time < now() - interval '8 days 3 minutes'"],
	[
		"idempotency_keys",
		["orders", "payments"],
		"created_at < now() - interval '24 hours 3 minutes'",
	],
	["sessions", ["auth"], "expires_at < now() - interval '3 minutes'"],
	["refresh_tokens", ["auth"], "created_at < now() - interval '31 days'"],
];
/** Overdue rows that each table has at the start, so that pruning shows within minutes. */
const OVERDUE_ROWS = 5000;
/** Statements that insert the overdue rows. */
const INSERT_OVERDUE: Readonly<Record<string, string>> = {
	// Negative sequence numbers, because older rows precede newer ones.
	outbox: `insert into outbox (seq, xid, type, subject, data, time) overriding system value
		select -n, '0', 'order.created', gen_random_uuid()::text, '{}', now() - interval '9 days'
			from generate_series(1, ${OVERDUE_ROWS}) n`,
	inbox: `insert into inbox (group_name, event_id, time) select 'aged', gen_random_uuid(),
		now() - interval '9 days' from generate_series(1, ${OVERDUE_ROWS})`,
	idempotency_keys: `insert into idempotency_keys (user_id, action, key, body_hash, status,
		created_at)
		select gen_random_uuid(), 'aged', n::text, '', 201, now() - interval '25 hours'
			from generate_series(1, ${OVERDUE_ROWS}) n`,
	sessions: `insert into sessions (id, user_id, created_at, expires_at)
		select gen_random_uuid(), gen_random_uuid(), now() - interval '40 days',
			now() - interval '10 days' from generate_series(1, ${OVERDUE_ROWS})`,
	refresh_tokens: `insert into refresh_tokens (token_hash, session_id, created_at)
		select sha256(id::text::bytea), id, created_at from sessions where expires_at < now()`,
};

interface Sample {
	/** Minutes since the start. */
	readonly minutes: number;
	readonly rss: Readonly<Record<string, number>>;
	/** Rows by table, summed over all services. */
	readonly rows: Readonly<Record<string, number>>;
	/** Overdue rows by table, summed over all services. */
	readonly overdue: Readonly<Record<string, number>>;
	readonly p99: number;
	readonly errors: number;
}
interface SoakResult {
	readonly samples: readonly Sample[];
	/** Memory growth in MB per hour over the second half, by process group. */
	readonly growth: Readonly<Record<string, number>>;
	readonly violations: readonly string[];
	readonly orders: number;
}

/** Mixed load that fills the pruned tables: reads, orders with and without a key, logins. */
const soakScenario: Scenario = {
	description: "85 % reads, 14 % orders (half of them with an idempotency key), 1 % logins",
	operation: (data) => {
		const [read, login] = [scenarios.mixed!.operation(data), scenarios.login!.operation(data)];
		return (connection, n) =>
			n % 100 === 50
				? login(connection, n)
				: n % 7 !== 0
					? read(connection, n)
					: n % 2
						? placeOrderOfOneItem(data, connection, n)
						: orderWithKey(data, connection, n);
	},
};
function orderWithKey({ tokens, history }: ScenarioData, connection: Connection, n: number) {
	const body = {
		items: [{ product_id: history.id("product", n % history.size.products), quantity: 1 }],
	};
	return connection.request("POST", "/api/orders", {
		token: tokens[n % tokens.length],
		body,
		key: randomUUID(),
	});
}

/** Applies a steady load for a long time, and samples memory and the pruned tables. */
export async function soak(
	target: Shop,
	{
		minutes,
		rate,
		buyers,
		onSample,
	}: { minutes: number; rate: number; buyers: number; onSample(sample: Sample): void },
): Promise<SoakResult> {
	const meter = new Meter(target);
	const tables = PRUNED_TABLES.flatMap(([table, services, overdue]) =>
		target.serviceDatabases
			.filter(({ service }) => services === "all" || services.includes(service))
			.map(({ server, database }) => ({ table, overdue, server, database })),
	);
	for (const { table, server, database } of tables)
		await server.query(database, INSERT_OVERDUE[table]!);
	const samples: Sample[] = [];
	const violations: string[] = [];
	const startedAt = Date.now();
	const step = Math.max(2, Math.min(30, (minutes * 60) / 10));
	while (Date.now() < startedAt + minutes * 60_000) {
		const {
			figures,
			errors,
			violations: found,
		} = await meter.measure({ scenario: soakScenario, buyers, rate, seconds: step, warmup: 0 });
		violations.push(...found);
		const counts = await Promise.all(tables.map(countRows));
		const total = (which: "rows" | "overdue") =>
			Object.fromEntries(
				[...Map.groupBy(counts, ({ table }) => table)].map(([table, all]) => [
					table,
					all.reduce((sum, one) => sum + one[which], 0),
				]),
			);
		const failed = Object.values(errors).reduce((sum, n) => sum + n, 0);
		const sample = {
			minutes: (Date.now() - startedAt) / 60_000,
			rss: figures.rss,
			rows: total("rows"),
			overdue: total("overdue"),
		};
		samples.push({ ...sample, p99: figures.p99, errors: failed });
		onSample(samples.at(-1)!);
	}
	const { violations: found, state } = await meter.check();
	const secondHalf = samples.slice(samples.length >> 1);
	const growth = mapValues(samples[0]!.rss, (_, group) =>
		slope(secondHalf.map(({ minutes, rss }) => ({ x: minutes / 60, y: rss[group]! }))),
	);
	return { samples, growth, violations: [...violations, ...found], orders: state.confirmed };
}

async function countRows({
	table,
	overdue,
	server,
	database,
}: {
	table: string;
	overdue: string;
	server: Postgres;
	database: string;
}) {
	const [row] = await server.query<{ rows: number; overdue: number }>(
		database,
		`select count(*)::int as rows, (count(*) filter (where ${overdue}))::int as overdue
			from ${table}`,
	);
	return { table, ...row! };
}

/** Formats the first and last number of rows of each pruned table. */
export function formatPruning({ samples }: SoakResult): string[] {
	const [first, last] = [samples[0]!, samples.at(-1)!];
	return Object.keys(last.rows).map(
		(table) =>
			`${table.padEnd(18)}${String(first.rows[table]).padStart(9)} -> ` +
			`${String(last.rows[table]).padStart(9)} rows, overdue: ${last.overdue[table]}`,
	);
}
