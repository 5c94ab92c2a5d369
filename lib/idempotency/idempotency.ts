import { createHash } from "node:crypto";
import { Errors } from "moleculer";
import { Rejection, reject } from "../async/micro-batch.ts";
import type { Ctx, Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";
import { type Database, type Queryable, sql, type Tx } from "../persistence/database.ts";

/** A request with an Idempotency-Key. The scope of a key is one caller and one action. */
export interface KeyedRequest {
	/** The caller, who may act on behalf of another user. */
	readonly user_id: string;
	readonly action: string;
	readonly key: string;
	readonly hash: string;
}
/** What is known of an earlier request under the same key. */
export interface StoredResponse {
	/** The id of what it made. */
	readonly subject: string | null;
	/** Null while it is running, or if it was cut off. */
	readonly status: number | null;
	readonly body: unknown;
}

const KEPT = "interval '24 hours'";
/** A key that is older than it is kept is free again, pruned or not. */
const CLAIM = sql(
	"idempotency_claim",
	`insert into idempotency_keys as k (user_id, action, key, body_hash, subject) values ($1, $2, $3, $4, $5)
	on conflict (user_id, action, key) do update
		set body_hash = excluded.body_hash, subject = excluded.subject, status = null, answer = null, created_at = now()
		where k.created_at < now() - ${KEPT}
	returning 1 as claimed`,
);
const REQUESTS = "unnest($1::uuid[], $2::text[], $3::text[]";
const FIND = sql(
	"idempotency_find",
	`select n, body_hash, subject, status, answer as body, created_at < now() - ${KEPT} as expired
	from ${REQUESTS}) with ordinality as w (user_id, action, key, n) join idempotency_keys using (user_id, action, key)`,
);
const FREE = sql(
	"idempotency_free",
	`delete from idempotency_keys k using ${REQUESTS}) as w (user_id, action, key)
	where k.user_id = w.user_id and k.action = w.action and k.key = w.key and k.created_at < now() - ${KEPT}`,
);
const KEEP = sql(
	"idempotency_keep",
	`update idempotency_keys k set status = w.status, answer = w.answer
	from ${REQUESTS}, $4::int[], $5::json[]) as w (user_id, action, key, status, answer)
	where k.user_id = w.user_id and k.action = w.action and k.key = w.key`,
);
/** The most keys that are pruned at once. */
export const PRUNE_BATCH_SIZE = 1000;
const PRUNE = sql(
	"idempotency_prune",
	`delete from idempotency_keys where ctid = any(array(
		select ctid from idempotency_keys where created_at < now() - ${KEPT} order by created_at limit ${PRUNE_BATCH_SIZE})) returning 1 as gone`,
);

/** The same for the same parameters, in whatever order their fields were written: SHA-256 over JSON with sorted keys. */
export const requestHash = (params: unknown): string =>
	createHash("sha256")
		.update(JSON.stringify(params, sorted) ?? "")
		.digest("hex");

const sorted = (_: string, value: unknown) =>
	value !== null && typeof value === "object" && !Array.isArray(value)
		? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
		: value;

/** The request as its key guards it; undefined for one without a key, or without a user. */
export function keyedRequest({
	action,
	params,
	meta: { user, idempotency_key },
}: Ctx): KeyedRequest | undefined {
	if (!idempotency_key || !user || !action?.name) return undefined;
	return { user_id: user.id, action: action.name, key: idempotency_key, hash: requestHash(params) };
}

/**
 * Takes a key, in the transaction of what it guards. Of two requests at the same time the second waits here until the first has committed.
 * @param subject the id of what the request is going to make
 * @returns null if the key is now this request's; else what the earlier one left
 * @throws IDEMPOTENCY_KEY_REUSED if the earlier request had other parameters
 */
export async function claimKey(
	tx: Queryable,
	{ user_id, action, key, hash }: KeyedRequest,
	subject: string | null = null,
): Promise<StoredResponse | null> {
	if ((await tx.query(CLAIM, [user_id, action, key, hash, subject])).length > 0) return null;
	const found = await findKey(tx, { user_id, action, key, hash });
	// Pruned in between: the next try gets it.
	if (!found) throw commonError("IDEMPOTENCY_KEY_IN_USE");
	return found;
}
/**
 * What an earlier request under this key left, if there was one. A key that is older than it is kept is freed on the way, pruned or not, so that
 * a statement which takes keys need not look at their age.
 * @throws IDEMPOTENCY_KEY_REUSED if it had other parameters
 */
export async function findKey(
	queryable: Queryable,
	request: KeyedRequest,
): Promise<StoredResponse | undefined> {
	const [found] = await findKeys(queryable, [request]);
	if (found instanceof Rejection) throw found.error;
	return found;
}
/** The same for many requests at once, as a step of a batch. */
export async function findKeys(
	queryable: Queryable,
	requests: readonly KeyedRequest[],
): Promise<(StoredResponse | Rejection | undefined)[]> {
	const rows = await queryable.query<
		StoredResponse & { n: number; body_hash: string; expired: boolean }
	>(FIND, columns(requests));
	const old = rows.flatMap(({ n, expired }) => (expired ? [requests[n - 1]!] : []));
	if (old.length > 0) await queryable.query(FREE, columns(old));
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

/** An answer that is kept for whoever asks again. */
export interface KeyedResponse {
	readonly request: KeyedRequest;
	readonly status: number;
	readonly body: unknown;
}
/** Keeps answers, in one statement, as a step of a batch. */
export async function storeResponses(
	queryable: Queryable,
	kept: readonly KeyedResponse[],
): Promise<readonly KeyedResponse[]> {
	const requests = kept.map(({ request }) => request);
	const [statuses, answers] = [
		kept.map(({ status }) => status),
		kept.map(({ body }) => JSON.stringify(body)),
	];
	await queryable.query(KEEP, [...columns(requests), statuses, answers]);
	return kept;
}
export async function storeResponse(
	queryable: Queryable,
	request: KeyedRequest,
	status: number,
	body: unknown,
): Promise<void> {
	await storeResponses(queryable, [{ request, status, body }]);
}
/** One of our named errors, as an answer that can be kept; whoever asks again gets the same error. */
export function errorResponse(error: Error): { status: number; body: object } {
	const { code, type, message, data } = error as InstanceType<typeof Errors.MoleculerError>;
	return { status: code, body: { type, message, data } };
}
/**
 * Answers, or fails, as the earlier request did, and says so in a header.
 * @throws IDEMPOTENCY_KEY_IN_USE if there is no answer yet
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

/** Removes a bounded number of keys that are no longer kept; answers how many. */
export const pruneKeys = async (db: Database): Promise<number> => (await db.query(PRUNE)).length;
