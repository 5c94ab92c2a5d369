import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { startPoller } from "../async/poller.ts";
import { StartError } from "../process/start-error.ts";
import { CONNECT_MS } from "./database.ts";

/** Key of the advisory lock: any constant number that no other lock uses. */
const LOCK = 7_306_418;
/** Between two attempts, at the start and after a lost connection. */
const RETRY_MS = 1000;
/**
 * Milliseconds that a start waits for its predecessor to end: longer than the lease of a crashed
 * relay.
 */
const WAIT_MS = 10_000;

// Transaction-level locks also hold, and end, behind a pooler that shares sessions (PgBouncer). A
// transaction that only holds a lock delays no vacuum.
const BEGIN = "begin; set local idle_in_transaction_session_timeout = 0";
const LOCK_ALONE = "select pg_try_advisory_xact_lock($1) as locked";
const LOCK_SHARED = "select pg_try_advisory_xact_lock_shared($1) as locked";
/** A node with NATS relays the events of this database. */
const CLUSTER =
	"select from outbox_readers where name = 'stream' and owner is not null and lease_until > now()";

const REMEDY = "stop the other one, or give both TRANSPORTER and CACHER";
const databaseName = (url: string) => decodeURIComponent(new URL(url).pathname.slice(1));

export interface DatabaseLock {
	release(): Promise<void>;
}
interface LockOptions {
	/** Milliseconds to wait for another holder to end. */
	readonly timeoutMs?: number;
	/** Called if another shop took the lock while the connection was lost. */
	onLost(error: StartError): void;
}

/**
 * Locks a database for a shop with an in-memory cache, which no other process can invalidate. The
 * lock ends with the process.
 * @throws StartError while another shop uses the database, whatever its cache
 */
export async function lockAlone(
	url: string,
	{ timeoutMs = WAIT_MS, onLost }: LockOptions,
): Promise<DatabaseLock> {
	const refusal = new StartError(
		`another shop uses the database ${databaseName(url)}, ` +
			`and this one caches in its memory: ${REMEDY}`,
	);
	let holder: pg.Client | undefined;
	async function acquire(): Promise<boolean> {
		const client = await connect(url);
		try {
			await client.query(BEGIN);
			const { rows } = await client.query<{ locked: boolean }>(LOCK_ALONE, [LOCK]);
			const free = rows[0]!.locked && (await client.query(CLUSTER)).rowCount === 0;
			if (!free) {
				await client.end();
				return false;
			}
		} catch (error) {
			await client.end().catch(() => undefined);
			throw error;
		}
		client.once("end", () => {
			holder = undefined;
		});
		holder = client;
		return true;
	}

	await poll(acquire, timeoutMs, refusal);
	const watching = startPoller({
		intervalMs: RETRY_MS,
		async poll() {
			if (!holder && !(await acquire())) onLost(refusal);
			return false;
		},
		// The server is unavailable for a moment, as it is for the services.
		onError: () => undefined,
	});
	return {
		async release() {
			await watching.stop();
			await holder?.end();
		},
	};
}

/**
 * Checks that no shop with an in-memory cache uses a database: it would not see changes of this
 * process.
 * @throws StartError if one does
 */
export async function assertShared(url: string, timeoutMs = WAIT_MS): Promise<void> {
	const refusal = new StartError(
		`a shop that caches in its memory uses the database ${databaseName(url)}: ${REMEDY}`,
	);
	const client = await connect(url);
	try {
		await poll(
			async () => (await client.query<{ locked: boolean }>(LOCK_SHARED, [LOCK])).rows[0]!.locked,
			timeoutMs,
			refusal,
		);
	} finally {
		await client.end();
	}
}

async function connect(url: string): Promise<pg.Client> {
	const client = new pg.Client({
		connectionString: url,
		connectionTimeoutMillis: CONNECT_MS,
		keepAlive: true,
	});
	client.on("error", () => undefined);
	await client.connect();
	return client;
}

/** Repeats an attempt until it succeeds; throws `refusal` after `timeoutMs` milliseconds. */
async function poll(
	attempt: () => Promise<boolean>,
	timeoutMs: number,
	refusal: StartError,
): Promise<void> {
	for (const end = performance.now() + timeoutMs; !(await attempt()); await pause(RETRY_MS))
		if (performance.now() >= end) throw refusal;
}
