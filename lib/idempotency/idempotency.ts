import { createHash } from "node:crypto";
import { Errors } from "moleculer";
import { Rejection, reject } from "../async/micro-batch.ts";
import type { Ctx, Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";
import { type Database, type Queryable, sql, type Tx } from "../persistence/database.ts";

/** Request with an Idempotency-Key. A key is unique per caller and action. */
export interface KeyedRequest {
	/** ID of the caller, who can act on behalf of another user. For a guest see `keyedRequest`. */
	readonly user_id: string;
	readonly action: string;
	readonly key: string;
	/** {@link requestHash} of the parameters. */
	readonly hash: string;
}
/** Stored result of an earlier request with the same key. */
export interface StoredResponse {
	/** ID of the object that the request created. */
	readonly subject: string | null;
	/** HTTP status; null while the request is running or after a crash. */
	readonly status: number | null;
	readonly body: unknown;
}

const RETENTION = "interval '24 hours'";
/** Claims a key that is unused or older than the retention. */
const CLAIM = sql(
	"idempotency_claim",
	`insert into idempotency_keys as k (user_id, action, key, body_hash, subject)
		values ($1, $2, $3, $4, $5)
	on conflict (user_id, action, key) do update
		set body_hash = excluded.body_hash, subject = excluded.subject,
			status = null, answer = null, created_at = now()
		where k.created_at < now() - ${RETENTION}
	returning 1 as claimed`,
);
const REQUESTS = "unnest($1::uuid[], $2::text[], $3::text[]";
const FIND = sql(
	"idempotency_find",
	`select n, body_hash, subject, status, answer as body,
		created_at < now() - ${RETENTION} as expired
	from ${REQUESTS}) with ordinality as w (user_id, action, key, n)
	join idempotency_keys using (user_id, action, key)`,
);
/** Removes the given keys if they are older than the retention. */
const FREE = sql(
	"idempotency_free",
	`delete from idempotency_keys k using ${REQUESTS}) as w (user_id, action, key)
	where k.user_id = w.user_id and k.action = w.action and k.key = w.key
		and k.created_at < now() - ${RETENTION}`,
);
/** Stores the first response of each request. Migrations name the column `answer`. */
const STORE = sql(
	"idempotency_store",
	`update idempotency_keys k set status = w.status, answer = w.answer
	from ${REQUESTS}, $4::int[], $5::json[]) as w (user_id, action, key, status, answer)
	where k.user_id = w.user_id and k.action = w.action and k.key = w.key and k.status is null
	returning k.key`,
);
/** Maximum number of keys that {@link pruneKeys} removes at once. */
export const PRUNE_BATCH_SIZE = 1000;
const PRUNE = sql(
	"idempotency_prune",
	`delete from idempotency_keys where ctid = any(array(
		select ctid from idempotency_keys where created_at < now() - ${RETENTION}
		order by created_at limit ${PRUNE_BATCH_SIZE})) returning 1 as pruned`,
);

/** SHA-256 of parameters as JSON with sorted keys. Independent of the order of fields. */
export const requestHash = (params: unknown): string =>
	createHash("sha256")
		.update(JSON.stringify(params, sorted) ?? "")
		.digest("hex");

const sorted = (_: string, value: unknown) =>
	value !== null && typeof value === "object" && !Array.isArray(value)
		? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
		: value;

/**
 * Returns the keyed request of a call; undefined if the call has no key or no caller.
 * @param guestScope ID of the resource to which the call of a guest has access: the caller of a
 * guest's request
 */
export function keyedRequest(
	{ action, params, meta: { user, idempotency_key } }: Ctx,
	guestScope?: string,
): KeyedRequest | undefined {
	const user_id = user?.id ?? guestScope;
	if (!idempotency_key || !user_id || !action?.name) return undefined;
	return { user_id, action: action.name, key: idempotency_key, hash: requestHash(params) };
}

/**
 * Claims a key in the transaction of the command. A concurrent request with the same key waits
 * until the first has committed.
 *
 * @param subject ID of the object that the request will create
 * @returns null if the request now owns the key, otherwise the result of the earlier request
 * @throws IDEMPOTENCY_KEY_REUSED if the earlier request had other parameters
 */
export async function claimKey(
	tx: Queryable,
	{ user_id, action, key, hash }: KeyedRequest,
	subject: string | null = null,
): Promise<StoredResponse | null> {
	if ((await tx.query(CLAIM, [user_id, action, key, hash, subject])).length > 0) return null;
	const found = await findKey(tx, { user_id, action, key, hash });
	// The key was pruned in the meantime, so a retry can claim it.
	if (!found) throw commonError("IDEMPOTENCY_KEY_IN_USE");
	return found;
}
/**
 * Finds the result of an earlier request with the same key. Removes the key if it is older than the
 * retention, so that statements that claim keys need not check their age.
 *
 * @throws IDEMPOTENCY_KEY_REUSED if the earlier request had other parameters
 */
export async function findKey(
	queryable: Queryable,
	request: KeyedRequest,
): Promise<StoredResponse | undefined> {
	const [found] = await findKeys(queryable, [request]);
	if (found instanceof Rejection) throw found.error;
	return found;
}
/** Set-based {@link findKey} for a batch; returns an error as a rejection. */
export async function findKeys(
	queryable: Queryable,
	requests: readonly KeyedRequest[],
): Promise<(StoredResponse | Rejection | undefined)[]> {
	const rows = await queryable.query<
		StoredResponse & { n: number; body_hash: string; expired: boolean }
	>(FIND, columns(requests));
	const expiredKeys = rows.flatMap(({ n, expired }) => (expired ? [requests[n - 1]!] : []));
	if (expiredKeys.length > 0) await queryable.query(FREE, columns(expiredKeys));
	const found = new Map(rows.flatMap((row) => (row.expired ? [] : [[row.n, row]])));
	return requests.map(({ hash }, i) => {
		const earlier = found.get(i + 1);
		return earlier && earlier.body_hash !== hash
			? reject(commonError("IDEMPOTENCY_KEY_REUSED"))
			: earlier;
	});
}
const columns = (requests: readonly KeyedRequest[]) =>
	(["user_id", "action", "key"] as const).map((field) => requests.map((one) => one[field]));

/** Response to store for later requests with the same key. */
export interface KeyedResponse {
	readonly request: KeyedRequest;
	readonly status: number;
	readonly body: unknown;
}
/** Stores the responses of a batch in one statement. */
export async function storeResponses(
	queryable: Queryable,
	responses: readonly KeyedResponse[],
): Promise<readonly KeyedResponse[]> {
	await store(queryable, responses);
	return responses;
}
/** Stores one response, see {@link storeResponses}. */
export async function storeResponse(
	queryable: Queryable,
	request: KeyedRequest,
	status: number,
	body: unknown,
): Promise<void> {
	await store(queryable, [{ request, status, body }]);
}
/** Returns the number of requests that had no response yet. */
async function store(queryable: Queryable, responses: readonly KeyedResponse[]): Promise<number> {
	const requests = responses.map(({ request }) => request);
	const [statuses, bodies] = [
		responses.map(({ status }) => status),
		responses.map(({ body }) => JSON.stringify(body)),
	];
	return (await queryable.query(STORE, [...columns(requests), statuses, bodies])).length;
}
/**
 * Stores a response, unless a concurrent request with the same key has stored one.
 * @returns undefined if this response is the stored one, otherwise the result of the other request
 * @throws the error of the other request
 */
export async function storeOrReplay<T>(
	queryable: Queryable,
	meta: Meta,
	response: KeyedResponse,
): Promise<T | undefined> {
	if ((await store(queryable, [response])) > 0) return undefined;
	const earlier = await findKey(queryable, response.request);
	return earlier && replayResponse<T>(meta, earlier);
}
/** Converts a contract error into a response to store; later requests receive the same error. */
export function errorResponse(error: Error): { status: number; body: object } {
	const { code, type, message, data } = error as InstanceType<typeof Errors.MoleculerError>;
	return { status: code, body: { type, message, data } };
}
/**
 * Returns the stored result, or throws the stored error, and sets the header Idempotent-Replayed.
 *
 * @throws IDEMPOTENCY_KEY_IN_USE if the earlier request has no response yet
 */
export function replayResponse<T>(meta: Meta, { status, body }: StoredResponse): T {
	if (status === null) throw commonError("IDEMPOTENCY_KEY_IN_USE");
	meta.$responseHeaders = { ...meta.$responseHeaders, "Idempotent-Replayed": "true" };
	if (status >= 400) {
		const { type, message, data } = body as { type: string; message: string; data?: object };
		throw new Errors.MoleculerClientError(message, status, type, data);
	}
	meta.$statusCode = status;
	return body as T;
}

/**
 * Executes a command at most once per key. The key, the command's effects and the stored response
 * commit in one transaction, so a failed command leaves its key free. Without a key the command
 * always executes.
 *
 * @param status HTTP status of the stored response
 * @throws IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_IN_USE
 */
export async function executeOnce<T>(
	db: Database,
	ctx: Ctx,
	status: number,
	command: (tx: Tx) => Promise<T>,
): Promise<T> {
	const request = keyedRequest(ctx);
	if (!request) return db.transaction(command);
	const { earlier, result } = await db.transaction(async (tx) => {
		const earlier = await claimKey(tx, request);
		if (earlier) return { earlier };
		const result = await command(tx);
		await storeResponse(tx, request, status, result);
		return { result };
	});
	return earlier ? replayResponse<T>(ctx.meta, earlier) : (result as T);
}

/** Removes keys older than the retention, up to {@link PRUNE_BATCH_SIZE}. Returns their number. */
export const pruneKeys = async (db: Database): Promise<number> => (await db.query(PRUNE)).length;
