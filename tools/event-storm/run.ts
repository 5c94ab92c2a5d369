import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import type { QueryResultRow } from "pg";
import { v7 as uuid } from "uuid";
import type { Call } from "../../lib/contracts/contract.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import type {} from "../../services/payments/payments.contract.ts";
import type {} from "../../services/shipping/shipping.contract.ts";
import { type Process, startProcess } from "../../test/support/processes.ts";
import { natsMember } from "../chaos/cluster.ts";
import type { Member } from "../chaos/members.ts";
import { type Random, random } from "../chaos/random.ts";
import { ALL_GROUPS, EFFECTS, GROUPS, LATE, POISON, producer } from "./services.ts";
import { violations } from "./verdict.ts";

export interface StormOptions {
	readonly events: number;
	/** How long it takes to write them. */
	readonly seconds: number;
	/** Repeats who is killed when, and what is written together. */
	readonly seed: number;
	/** A DATABASE_URL; its databases are migrated and empty. */
	readonly pattern: string;
	query<Row extends QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
	/** For NATS and for logs. */
	readonly folder: string;
	/** Called a few times a second. `effects` are those of the group that is furthest behind. */
	onProgress(progress: { written: number; effects: number; kills: number }): void;
}
export interface StormResult {
	readonly violations: readonly string[];
	readonly written: number;
	readonly poison: number;
	readonly kills: number;
	/** Seconds from the last event until everything had taken effect. */
	readonly settledAfter: number;
	/** How many events the replay at the end told again. */
	readonly replayed: number;
}

const CONSUMERS = 3;
/** One event in so many is poison. */
const POISON_EVERY = 250;
const SUBJECTS = 200;
const PATIENCE_MS = 150_000;

/**
 * Writes events while consumers are killed every second and NATS is killed twice, and once more with the loss of all that it kept. Then NATS
 * loses everything while no event is on its way, and another group starts. Finds out whether each event took effect exactly once in every group.
 */
export async function storm(options: StormOptions): Promise<StormResult> {
	const { events, seconds, seed, pattern, query, folder } = options;
	for (const group of ALL_GROUPS) await query(group, EFFECTS);
	const nats = await natsMember(folder);
	const settings = {
		NODE_ENV: "test",
		LOGLEVEL: "error",
		TRANSPORTER: nats.url,
		DATABASE_URL: pattern,
		DATABASE_POOL: "5",
		EVENT_BACKOFF: "0.2,0.4,0.6,0.8",
		EVENT_ACK_WAIT_MS: "2000",
	};
	const env = readEnv({ ...settings, LOGLEVEL: "fatal", NODEID: "producer" });
	const broker = createNode({ ...brokerOptions(env), logger: false }, env, [producer()]);
	const herd = consumers(settings, folder, random(seed));
	const wrong: string[] = [];
	let late: Process | undefined;
	const progress = setInterval(async () => {
		const behind = await Promise.all(GROUPS.map((group) => count(options, group))).catch(() => [0]);
		options.onProgress({
			written: writer.written(),
			effects: Math.min(...behind),
			kills: herd.kills(),
		});
	}, 300);
	const writer = write(broker, options, random(seed + 1));
	try {
		await broker.start();
		herd.start();
		await Promise.all([writer.run(), herd.suffer(seconds), upset(nats.member, folder, seconds)]);
		const calm = Date.now();
		herd.start();
		const settled = (groups: readonly string[]) => settle(options, broker, events, groups);
		if (!(await settled(GROUPS)))
			wrong.push(`Not everything was taken over within ${PATIENCE_MS / 1000} s`);
		const settledAfter = (Date.now() - calm) / 1000;
		late = await wipeIdle(options, nats.member, settings);
		if (!(await settled(ALL_GROUPS)))
			wrong.push("Not everything was taken over after the idle stream was wiped");
		const { count: replayed } = await (broker.call.bind(broker) as Call)("orders.replayEvents", {});
		if (!(await settled(ALL_GROUPS))) wrong.push("The replay was not taken over in time");
		wrong.push(...herd.complaints(), ...(await verdict(options, events)));
		const poison = writer.poison();
		return {
			violations: wrong,
			written: writer.written(),
			poison,
			kills: herd.kills(),
			settledAfter,
			replayed,
		};
	} finally {
		clearInterval(progress);
		await herd.end();
		await late?.kill();
		await broker.stop();
		await nats.member.end();
	}
}

/** Spreads the events evenly over the time, several in one transaction. */
function write(broker: ServiceBroker, { events, seconds }: StormOptions, dice: Random) {
	const subjects = Array.from({ length: SUBJECTS }, () => uuid());
	const data = { order_id: uuid(), user_id: uuid(), total_amount: 1, currency: "EUR" };
	let [written, poison] = [0, 0];
	return {
		written: () => written,
		poison: () => poison,
		async run() {
			const { db, publish } = broker.getLocalService("orders") as unknown as HasDatabase &
				HasDurableEvents;
			const start = Date.now();
			while (written < events) {
				const due = Math.ceil(((Date.now() - start) / (seconds * 1000)) * events);
				const together = Math.min(dice.whole(1, 20), events - written, due - written);
				if (together <= 0) {
					await after(10);
					continue;
				}
				const from = written;
				await db.transaction(async (tx) => {
					for (let n = from; n < from + together; n++) {
						const subject = n % POISON_EVERY === POISON_EVERY - 1 ? POISON : dice.pick(subjects);
						if (subject === POISON) poison++;
						await publish(tx, "order.created", subject, data);
					}
				});
				written += together;
			}
		},
	};
}

function startConsumer(
	name: string,
	groups: readonly string[],
	settings: Record<string, string>,
	folder: string,
): Process {
	const args = ["--no-warnings", join(import.meta.dirname, "consumer.ts"), ...groups];
	return startProcess({
		name,
		file: process.execPath,
		args,
		env: { ...settings, NODEID: name },
		log: join(folder, `${name}.log`),
	});
}

/** The processes that are killed. */
function consumers(settings: Record<string, string>, folder: string, dice: Random) {
	const herd = new Map<number, Process>();
	const doomed = new Set<Process>();
	const complaints: string[] = [];
	const spawn = (n: number) => {
		const one = startConsumer(`consumer-${n}`, GROUPS, settings, folder);
		herd.set(n, one);
		one.failure.catch((error: Error) => {
			if (doomed.has(one)) return;
			herd.delete(n);
			complaints.push(error.message);
		});
	};
	const kill = async (n: number) => {
		const one = herd.get(n);
		if (!one) return;
		doomed.add(one);
		await one.kill();
		herd.delete(n);
	};
	let kills = 0;
	const all = [...Array(CONSUMERS).keys()];
	const start = () => all.filter((n) => !herd.has(n)).forEach(spawn);
	return {
		kills: () => kills,
		/** Ends that nobody asked for. */
		complaints: () => complaints,
		/** Those that do not run. */
		start,
		/** Each second one of them is killed, and now and then all at once. */
		async suffer(seconds: number) {
			for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
				await after(1000);
				const victims = dice.next() < 0.15 ? all : [dice.pick(all)];
				await Promise.all(victims.map(kill));
				kills += victims.length;
				start();
			}
		},
		end: async () => void (await Promise.all(all.map(kill))),
	};
}

/** NATS dies three times while events are written, and the second time it loses everything. */
async function upset(nats: Member, folder: string, seconds: number): Promise<void> {
	for (const loses of [false, true, false]) {
		await after((seconds / 4) * 1000);
		await nats.kill();
		if (loses) await rm(join(folder, "jetstream"), { recursive: true, force: true });
		await after(300);
		await nats.start();
	}
}

type Tables = Pick<StormOptions, "query">;
const count = async ({ query }: Tables, group: string): Promise<number> =>
	(await query<{ n: number }>(group, "select count(*)::int as n from effects"))[0]!.n;

/** While no event is on its way, NATS loses everything; then a group starts that was not there before. */
async function wipeIdle(
	{ folder }: StormOptions,
	nats: Member,
	settings: Record<string, string>,
): Promise<Process> {
	await nats.kill();
	await rm(join(folder, "jetstream"), { recursive: true, force: true });
	await nats.start();
	return startConsumer(LATE, [LATE], settings, folder);
}

/** Waits until every group has all that it can take, and no more is on its way to it; whether that came in time. */
async function settle(
	{ query }: Tables,
	broker: ServiceBroker,
	events: number,
	groups: readonly string[],
): Promise<boolean> {
	const quiet = async (group: string) => {
		const [{ done = 0, waiting = 0 } = {}] = await query<{ done: number; waiting: number }>(
			group,
			`select (select count(*) from inbox)::int + (select count(*) from retries where dead_at is not null)::int as done,
				(select count(*) from retries where dead_at is null)::int as waiting`,
		);
		if (done < events || waiting > 0) return false;
		const figures = (await broker.call(`${group}.eventFigures`).catch(() => undefined)) as
			| { pending: number }
			| undefined;
		return figures?.pending === 0;
	};
	for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await after(200)) {
		const calm = await Promise.all(groups.map(quiet));
		if (!calm.includes(false)) return true;
	}
	return false;
}

async function verdict({ query }: Tables, events: number): Promise<string[]> {
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
		outbox.length === events ? [] : [`The outbox holds ${outbox.length} of ${events} events`];
	return [
		...lost,
		...violations({ written: ids(outbox), poison, groups: await Promise.all(groups) }),
	];
}
