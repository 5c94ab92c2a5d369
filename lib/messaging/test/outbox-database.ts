import { afterAll, afterEach, beforeAll, beforeEach } from "@jest/globals";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import type { Event } from "../../contracts/event.ts";
import { Database, databaseUrl, type Tx } from "../../persistence/database.ts";
import { insertEvents } from "../outbox.ts";
import { type Relay, type RelayOptions, startRelay } from "../relay.ts";

interface OpenTransaction {
	run(work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
	commit(): Promise<void>;
}

/** Registers hooks that create a database, and an empty outbox for each test. */
export function outboxDatabase() {
	let databases: Databases;
	let db: Database;
	const relays: Relay[] = [];
	const transactions: OpenTransaction[] = [];
	const failures: unknown[] = [];
	beforeAll(async () => {
		databases = await makeDatabases(["users"]);
		db = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 20 });
	});
	afterAll(async () => {
		await db?.close();
		await databases?.drop();
	});
	beforeEach(async () => {
		failures.length = 0;
		await db.query("truncate outbox, outbox_readers");
	});
	afterEach(async () => {
		await Promise.all(transactions.splice(0).map((transaction) => transaction.commit()));
		await Promise.all(relays.splice(0).map((relay) => relay.stop()));
	});

	return {
		get db() {
			return db;
		},
		/** Errors of the relays of the current test. */
		failures: failures as readonly unknown[],
		/** Subjects of the retained events. */
		async retained(): Promise<string[]> {
			const rows = await db.query<{ subject: string }>("select subject from outbox order by seq");
			return rows.map(({ subject }) => subject);
		},
		/** Writes events with the subjects `<prefix>1`, `<prefix>2` … */
		writeMany: (count: number, prefix: string): Promise<unknown> =>
			db.query(
				`insert into outbox (type, subject, data) select 'user.updated', $2 || n, '{}'
					from generate_series(1, $1) n`,
				[count, prefix],
			),
		/** Starts a relay; `published` has the subjects of its events. */
		startTestRelay(options: Partial<RelayOptions> = {}) {
			const published: string[] = [];
			const events: Event[] = [];
			const relay = startRelay({
				db,
				name: "group",
				owner: "node",
				source: "/users",
				onError: (error) => failures.push(error),
				...options,
				async deliver(found) {
					await options.deliver?.(found);
					events.push(...found);
					published.push(...found.map(({ subject }) => subject));
				},
			});
			relays.push(relay);
			return { published, events, relay };
		},
		/** A transaction that stays open until `commit`. */
		async openTransaction(): Promise<OpenTransaction> {
			const begun = Promise.withResolvers<Tx>();
			const ended = Promise.withResolvers<void>();
			const done = db.transaction(async (tx) => {
				begun.resolve(tx);
				await ended.promise;
			});
			const tx = await begun.promise;
			const transaction = {
				run: (work: (tx: Tx) => Promise<unknown>) => work(tx),
				async commit() {
					ended.resolve();
					await done;
				},
			};
			transactions.push(transaction);
			return transaction;
		},
	};
}

export const write = (tx: Tx | Database, subject: string): Promise<unknown> =>
	insertEvents(tx, "user.updated", subject, "{}");

export const numbered = (count: number, prefix: string): string[] =>
	Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);

/** Blocks deliveries until it is opened. */
export function gate() {
	const opened = Promise.withResolvers<void>();
	let arrived = 0;
	return {
		open: opened.resolve,
		get arrived() {
			return arrived;
		},
		async pass() {
			arrived++;
			await opened.promise;
		},
	};
}
