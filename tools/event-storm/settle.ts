import { setTimeout as after } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import type { QueryResultRow } from "pg";
import { ALL_GROUPS, POISON } from "./services.ts";
import { violations } from "./violations.ts";

/** Time for all groups to process all events. */
export const SETTLE_MS = 150_000;

/** Access to the databases of the services. */
export interface Tables {
	query<Row extends QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
}
/** Number of events that a group has processed. */
export const count = async ({ query }: Tables, group: string): Promise<number> =>
	(await query<{ n: number }>(group, "select count(*)::int as n from effects"))[0]!.n;

/**
 * Waits until every group has processed all events except poison, and has no pending messages.
 * @returns false after SETTLE_MS
 */
export async function settle(
	{ query }: Tables,
	broker: ServiceBroker,
	events: number,
	groups: readonly string[],
): Promise<boolean> {
	const isSettled = async (group: string) => {
		const [{ done = 0, waiting = 0 } = {}] = await query<{ done: number; waiting: number }>(
			group,
			`select (select count(*) from inbox)::int + (select count(*) from retries
				where dead_at is not null)::int as done,
				(select count(*) from retries where dead_at is null)::int as waiting`,
		);
		if (done < events || waiting > 0) return false;
		const figures = (await broker.call(`${group}.eventFigures`).catch(() => undefined)) as
			| { pending: number }
			| undefined;
		return figures?.pending === 0;
	};
	for (const end = Date.now() + SETTLE_MS; Date.now() < end; await after(200)) {
		const states = await Promise.all(groups.map(isSettled));
		if (!states.includes(false)) return true;
	}
	return false;
}

/** Violations after a run, one line each. */
export async function verify({ query }: Tables, events: number): Promise<string[]> {
	const outbox = await query<{ id: string; subject: string }>(
		"orders",
		"select id, subject from outbox order by seq",
	);
	const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);
	const groups = ALL_GROUPS.map(async (name) => ({
		name,
		effects: ids(await query(name, "select event_id as id from effects")),
		dead: ids(await query(name, "select event_id as id from retries where dead_at is not null")),
	}));
	const poison = new Set(ids(outbox.filter(({ subject }) => subject === POISON)));
	const lost =
		outbox.length === events ? [] : [`The outbox contains ${outbox.length} of ${events} events`];
	return [
		...lost,
		...violations({ written: ids(outbox), poison, groups: await Promise.all(groups) }),
	];
}
