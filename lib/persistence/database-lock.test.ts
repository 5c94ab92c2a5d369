import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import { StartError } from "../process/start-error.ts";
import { databaseUrl } from "./database.ts";
import { assertShared, type DatabaseLock, lockAlone } from "./database-lock.ts";

let databases: Databases;
let url: string;
const locks: DatabaseLock[] = [];
const lost: StartError[] = [];
const lock = async (timeoutMs = 0) => {
	const held = await lockAlone(url, { timeoutMs, onLost: (error) => lost.push(error) });
	locks.push(held);
	return held;
};
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	url = databaseUrl(databases.pattern, "shipping");
});
afterEach(async () => {
	await Promise.all(locks.splice(0).map((held) => held.release()));
	lost.length = 0;
});
afterAll(() => databases?.drop());

const HOLDERS = `select pid from pg_locks where locktype = 'advisory'
		and database = (select oid from pg_database where datname = current_database())`;
const holders = async () =>
	(await databases.query<{ pid: number }>("shipping", HOLDERS)).map(({ pid }) => pid);

test("rejects a second shop with an in-memory cache until the first one ends", async () => {
	const first = await lock();
	const error = await lock().catch((reason) => reason);
	expect(error).toBeInstanceOf(StartError);
	expect(error.message).toMatch(
		/^another shop uses the database \w+shipping, .*TRANSPORTER and CACHER$/,
	);
	const waiting = lock(10_000);
	await first.release();
	await waiting;
	expect(await holders()).toHaveLength(1);
});

test("rejects a cluster node beside an in-memory cache, and accepts several nodes", async () => {
	await Promise.all([assertShared(url, 0), assertShared(url, 0)]);
	await lock();
	await expect(assertShared(url, 0)).rejects.toThrow(
		/^a shop that caches in its memory uses the database \w+shipping: stop/,
	);
});

test("rejects a shop with an in-memory cache while a cluster relays its events", async () => {
	await databases.query(
		"shipping",
		`insert into outbox_readers (name, owner, lease_until)
			values ('stream', 'a node', now() + interval '1 minute')`,
	);
	await expect(lock()).rejects.toThrow(StartError);
	await databases.query(
		"shipping",
		"update outbox_readers set lease_until = now() - interval '1 second'",
	);
	await lock();
	await databases.query("shipping", "delete from outbox_readers");
});

test("takes the lock again after a lost connection", async () => {
	await lock();
	const [before] = await holders();
	await databases.query("shipping", "select pg_terminate_backend($1)", [before]);
	await eventually(async () => {
		const now = await holders();
		expect(now).toHaveLength(1);
		expect(now).not.toContain(before);
	});
	expect(lost).toEqual([]);
});

test("reports another shop that took the lock while the connection was lost", async () => {
	await lock();
	const [first] = await holders();
	// Postgres gives it the lock before the first shop can connect again.
	const rival = databases.query(
		"shipping",
		"select pg_advisory_lock(objid::bigint) from pg_locks where pid = $1 and locktype = 'advisory'",
		[first],
	);
	await eventually(async () => expect(await holders()).toHaveLength(2));
	await databases.query("shipping", "select pg_terminate_backend($1)", [first]);
	await rival;
	await eventually(() => expect(lost[0]).toBeInstanceOf(StartError));
});
