import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import type { Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";
import { Database, databaseUrl, type Tx } from "../persistence/database.ts";
import {
	claimKey,
	errorResponse,
	findKey,
	keyedRequest,
	pruneKeys,
	replayResponse,
	requestHash,
	type StoredResponse,
	storeResponse,
	storeResponses,
} from "./idempotency.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["payments"]);
	db = new Database({ url: databaseUrl(databases.pattern, "payments"), poolSize: 5 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

const request = (params: object = { amount: 1 }, over: object = {}) => ({
	user_id: uuid(),
	action: "payments.refund",
	key: "a key",
	hash: requestHash(params),
	...over,
});
const inTransaction = <T>(work: (tx: Tx) => Promise<T>) => db.transaction(work);

test("requestHash is equal for equal parameters in any order, and differs otherwise", () => {
	expect(requestHash({ a: 1, b: { c: [1, 2], d: null } })).toBe(
		requestHash({ b: { d: null, c: [1, 2] }, a: 1, e: undefined }),
	);
	const different = [
		{ a: 1 },
		{ a: "1" },
		{ a: [1] },
		{ a: { 0: 1 } },
		{ b: 1 },
		{ a: null },
		{},
	].map(requestHash);
	expect(new Set(different).size).toBe(different.length);
	expect(requestHash({ a: [1, 2] })).not.toBe(requestHash({ a: [2, 1] }));
});

test("keyedRequest returns requests with a key and a user only", () => {
	const user = { id: uuid(), email: "zoe@example.com", role: "user" } as const;
	const keyed = (meta: Meta) =>
		keyedRequest({ action: { name: "orders.create" }, params: { a: 1 }, meta } as never);
	expect(keyed({ user })).toBeUndefined();
	expect(keyed({ idempotency_key: "k" })).toBeUndefined();
	const expected = {
		user_id: user.id,
		action: "orders.create",
		key: "k",
		hash: requestHash({ a: 1 }),
	};
	expect(keyed({ user, idempotency_key: "k" })).toEqual(expected);
});

test("one of several concurrent requests claims the key; the others get its response", async () => {
	const keyed = request();
	const results = await Promise.all(
		Array.from({ length: 5 }, (_, n) =>
			inTransaction(async (tx) => {
				const earlier = await claimKey(tx, keyed, String(n));
				if (!earlier) await storeResponse(tx, keyed, 201, { made: n });
				return earlier;
			}),
		),
	);
	expect(results.filter((earlier) => earlier === null)).toHaveLength(1);
	const winner = results.indexOf(null);
	for (const earlier of results.filter((one) => one !== null)) {
		expect(earlier).toMatchObject({
			subject: String(winner),
			status: 201,
			body: { made: winner },
		});
	}
});

test("a rolled back transaction releases its key", async () => {
	const keyed = request();
	const failing = inTransaction(async (tx) => {
		await claimKey(tx, keyed);
		throw new Error("no");
	});
	await expect(failing).rejects.toThrow("no");
	expect(await claimKey(db, keyed)).toBeNull();
});

test("a reused key with other parameters is rejected, unless user or action differ", async () => {
	const keyed = request({ amount: 1 });
	await claimKey(db, keyed);
	await expect(claimKey(db, { ...keyed, hash: requestHash({ amount: 2 }) })).rejects.toMatchObject({
		type: "IDEMPOTENCY_KEY_REUSED",
	});
	expect(await claimKey(db, { ...keyed, user_id: uuid() })).toBeNull();
	expect(await claimKey(db, { ...keyed, action: "orders.create" })).toBeNull();
});

test("replayResponse returns a response, throws an error, or reports a key in use", async () => {
	const [succeeded, failed, running] = [request(), request(), request()];
	for (const one of [succeeded, failed, running]) await claimKey(db, one);
	await storeResponse(db, succeeded, 201, { id: 1 });
	await storeResponses(db, [
		{ request: failed, ...errorResponse(commonError("FORBIDDEN", { why: "because" })) },
	]);
	const again = async (one: typeof succeeded, meta: Meta) =>
		replayResponse(meta, (await claimKey(db, one)) as StoredResponse);
	const meta: Meta = { $responseHeaders: { ETag: "1" } };
	expect(await again(succeeded, meta)).toEqual({ id: 1 });
	expect(meta).toEqual({
		$statusCode: 201,
		$responseHeaders: { ETag: "1", "Idempotent-Replayed": "true" },
	});
	const error = {
		code: 403,
		type: "FORBIDDEN",
		message: "Insufficient permissions",
		data: { why: "because" },
	};
	await expect(again(failed, {})).rejects.toMatchObject(error);
	await expect(again(running, {})).rejects.toMatchObject({ type: "IDEMPOTENCY_KEY_IN_USE" });
});

test("a key expires after a day and is pruned", async () => {
	const [old, recent] = [request(), request()];
	for (const one of [old, recent]) await storeResponse(db, one, 201, await claimKey(db, one));
	const age = (one: typeof old, hours: number) =>
		db.query(
			`update idempotency_keys set created_at = now() - make_interval(hours => $2)
				where user_id = $1`,
			[one.user_id, hours],
		);
	await age(recent, 23);
	await age(old, 25);
	expect(await claimKey(db, { ...old, hash: "another" })).toBeNull();
	await age(old, 25);
	expect(await findKey(db, { ...old, hash: "a third" })).toBeUndefined();
	expect(await db.query("select from idempotency_keys where user_id = $1", [old.user_id])).toEqual(
		[],
	);
	expect(await claimKey(db, { ...old, hash: "a third" })).toBeNull();
	await age(old, 25);
	expect(await pruneKeys(db)).toBe(1);
	expect(await pruneKeys(db)).toBe(0);
	expect(await claimKey(db, recent)).not.toBeNull();
});
