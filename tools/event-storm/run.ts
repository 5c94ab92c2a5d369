import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Call } from "../../lib/contracts/contract.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import type {} from "../../services/payments/payments.contract.ts";
import type {} from "../../services/shipping/shipping.contract.ts";
import type { Process } from "../../test/support/processes.ts";
import type { Member } from "../chaos/members.ts";
import { type Random, random } from "../chaos/random.ts";
import { natsMember } from "../chaos/servers.ts";
import { consumerProcesses, startConsumer } from "./consumer-processes.ts";
import { ALL_GROUPS, EFFECTS, GROUPS, LATE, POISON, producer } from "./services.ts";
import { count, SETTLE_MS, settle, type Tables, verify } from "./settle.ts";

interface StormOptions extends Tables {
	readonly events: number;
	/** Duration of publishing. */
	readonly seconds: number;
	/** Determines the kills, and the events of each transaction. */
	readonly seed: number;
	/** DATABASE_URL of migrated, empty databases. */
	readonly pattern: string;
	/** Folder of NATS and of the logs. */
	readonly folder: string;
	/** Called about three times a second. `effects` is the count of the slowest group. */
	onProgress(progress: { written: number; effects: number; kills: number }): void;
}
export interface StormResult {
	readonly violations: readonly string[];
	readonly written: number;
	readonly poison: number;
	readonly kills: number;
	/** Seconds from the last event until all events had taken effect. */
	readonly settledAfter: number;
	/** Number of events that the final replay published again. */
	readonly replayed: number;
}

/** Every 250th event is poison. */
const POISON_EVERY = 250;
const SUBJECTS = 200;

/**
 * Publishes events while consumers are killed every second and NATS is killed three times, once
 * with the loss of its files. Then deletes NATS's files while no event is in flight, and starts
 * another consumer group. Verifies that each event took effect exactly once in every group.
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
	const consumers = consumerProcesses(settings, folder, random(seed));
	const found: string[] = [];
	let late: Process | undefined;
	const progress = setInterval(async () => {
		const counts = await Promise.all(GROUPS.map((group) => count(options, group))).catch(() => [0]);
		options.onProgress({
			written: writer.written(),
			effects: Math.min(...counts),
			kills: consumers.kills(),
		});
	}, 300);
	const writer = createWriter(broker, options, random(seed + 1));
	try {
		await broker.start();
		consumers.start();
		await Promise.all([
			writer.run(),
			consumers.killRandomly(seconds),
			disruptNats(nats.member, folder, seconds),
		]);
		const publishedAt = Date.now();
		consumers.start();
		const settled = (groups: readonly string[]) => settle(options, broker, events, groups);
		if (!(await settled(GROUPS)))
			found.push(`Not all events were processed within ${SETTLE_MS / 1000} s`);
		const settledAfter = (Date.now() - publishedAt) / 1000;
		late = await deleteIdleStream(options, nats.member, settings);
		if (!(await settled(ALL_GROUPS)))
			found.push("Not all events were processed after the idle stream was deleted");
		const { count: replayed } = await (broker.call.bind(broker) as Call)("orders.replayEvents", {});
		if (!(await settled(ALL_GROUPS))) found.push("Not all replayed events were processed in time");
		found.push(...consumers.failures(), ...(await verify(options, events)));
		const poison = writer.poison();
		return {
			violations: found,
			written: writer.written(),
			poison,
			kills: consumers.kills(),
			settledAfter,
			replayed,
		};
	} finally {
		clearInterval(progress);
		await consumers.end();
		await late?.kill();
		await broker.stop();
		await nats.member.end();
	}
}

/** Publishes the events at an even rate, with several per transaction. */
function createWriter(broker: ServiceBroker, { events, seconds }: StormOptions, rng: Random) {
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
				const batch = Math.min(rng.whole(1, 20), events - written, due - written);
				if (batch <= 0) {
					await after(10);
					continue;
				}
				const from = written;
				await db.transaction(async (tx) => {
					for (let n = from; n < from + batch; n++) {
						const subject = n % POISON_EVERY === POISON_EVERY - 1 ? POISON : rng.pick(subjects);
						if (subject === POISON) poison++;
						await publish(tx, "order.created", subject, data);
					}
				});
				written += batch;
			}
		},
	};
}

/**
 * Kills NATS three times while events are published; the second time with the loss of its files.
 */
async function disruptNats(nats: Member, folder: string, seconds: number): Promise<void> {
	for (const loses of [false, true, false]) {
		await after((seconds / 4) * 1000);
		await nats.kill();
		if (loses) await rm(join(folder, "jetstream"), { recursive: true, force: true });
		await after(300);
		await nats.start();
	}
}

/** Deletes NATS's files while no event is in flight, and starts a new consumer group. */
async function deleteIdleStream(
	{ folder }: StormOptions,
	nats: Member,
	settings: Record<string, string>,
): Promise<Process> {
	await nats.kill();
	await rm(join(folder, "jetstream"), { recursive: true, force: true });
	await nats.start();
	return startConsumer(LATE, [LATE], settings, folder);
}
