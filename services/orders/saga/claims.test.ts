import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { LEASE, openSagaStores, type SagaStores } from "../../../test/support/order-sagas.ts";
import * as statements from "./statements.ts";

const nodes = ["one", "two"] as const;

let stores: SagaStores;
beforeAll(async () => {
	stores = await openSagaStores();
});
afterAll(() => stores?.close());
beforeEach(() => stores.clear());

test("another node claims a node's sagas only after the lease expires or is released", async () => {
	const [one, two] = nodes.map(stores.storeOf);
	await two!.heartbeat();
	for (const endLease of [() => stores.elapse(LEASE + 1), () => one!.release()]) {
		await one!.heartbeat();
		const [saga] = await stores.insertSagas("one");
		await stores.elapse(LEASE / 2);
		for (const store of [one!, two!]) await store.heartbeat();
		expect(await two!.claim(10, [])).toEqual([]);
		await endLease();
		await two!.heartbeat();
		expect(await two!.claim(10, [])).toMatchObject([{ id: saga!.id, attempt: 2 }]);
		expect(await one!.complete([saga!])).toEqual([false]);
		await stores.clear();
		await two!.heartbeat();
	}
});

test("a node claims its own saga again if the saga has not run there for a lease", async () => {
	const [one, two] = nodes.map(stores.storeOf);
	const [lost, running] = await stores.insertSagas("one", 2);
	const claims = async () => {
		for (const store of [one!, two!]) await store.heartbeat();
		return [await two!.claim(10, []), await one!.claim(10, [running!.id])];
	};
	expect(await claims()).toEqual([[], []]);
	await stores.elapse(LEASE + 1);
	expect(await claims()).toMatchObject([[], [{ id: lost!.id, attempt: 2 }]]);
	expect(await claims()).toEqual([[], []]);
});

test("concurrent claims of two nodes take each saga once, under a new attempt", async () => {
	for (let round = 0; round < 5; round++) {
		await stores.clear();
		for (const name of nodes) await stores.storeOf(name).heartbeat();
		const open = await stores.insertSagas("gone", 40);
		const [first, second] = await Promise.all(
			nodes.map((name) => stores.storeOf(name).claim(30, [])),
		);
		const claimed = [...first!, ...second!];
		expect(claimed.map(({ id }) => id).sort()).toEqual(open.map(({ id }) => id).sort());
		expect(new Set(claimed.map(({ attempt }) => attempt))).toEqual(new Set([2]));
	}
});

test("repeated claims and releases reach every open saga", async () => {
	const two = stores.storeOf("two");
	const open = await stores.insertSagas("gone", 7);
	const claimed = new Set<string>();
	for (let round = 0; round < 4; round++) {
		await two.heartbeat();
		for (const { id } of await two.claim(2, [])) claimed.add(id);
		await two.release();
	}
	expect(claimed).toEqual(new Set(open.map(({ id }) => id)));
});

test("a claim skips rows that a concurrent claim has locked", async () => {
	await stores.storeOf("two").heartbeat();
	const open = await stores.insertSagas("gone", 3);
	const [, , rest] = await stores.db.transaction(async (tx) => [
		...(await tx.query<{ id: string }>(statements.CLAIM, [
			"one",
			2,
			[],
			LEASE,
			stores.limits.claimBytes,
		])),
		...(await stores.storeOf("two").claim(10, [])),
	]);
	expect(open.map(({ id }) => id)).toContain(rest!.id);
	expect(
		await stores.db.query(
			"select saga_owner as owner, count(*) as n from orders group by 1 order by 1",
		),
	).toEqual([
		{ owner: "one", n: 2 },
		{ owner: "two", n: 1 },
	]);
});

test("a claim returns at most its limit, oldest sagas first", async () => {
	const recent = await stores.insertSagas("gone", 2);
	const old = await stores.insertSagas("gone", 2);
	await stores.db.query(
		"update orders set saga_since = now() - interval '1 minute' where id = any($1::uuid[])",
		[old.map(({ id }) => id)],
	);
	await stores.storeOf("one").heartbeat();
	const ids = async (limit: number) =>
		(await stores.storeOf("one").claim(limit, [])).map(({ id }) => id).sort();
	expect(await ids(2)).toEqual(old.map(({ id }) => id).sort());
	expect(await ids(200)).toEqual(recent.map(({ id }) => id).sort());
	expect(await ids(200)).toEqual([]);
});

test("a claim stays within its limit of bytes but returns at least one saga", async () => {
	await stores.storeOf("one").heartbeat();
	const sagas = await stores.insertSagas("gone", 3);
	const [{ bytes } = { bytes: 0 }] = await stores.db.query<{ bytes: number }>(
		"select octet_length(items::text) as bytes from orders limit 1",
	);
	const claim = async (limit: number) => {
		stores.limits.claimBytes = limit;
		const ids = (await stores.storeOf("one").claim(10, [])).map(({ id }) => id);
		return sagas.filter(({ id }) => ids.includes(id)).length;
	};
	expect([await claim(2 * bytes), await claim(1), await claim(Number.MAX_SAFE_INTEGER)]).toEqual([
		2, 1, 0,
	]);
});

test("a claimed saga contains the parameters of its steps", async () => {
	const [saga] = await stores.insertSagas("gone");
	expect(await stores.storeOf("one").claim(1, [])).toEqual([{ ...saga, attempt: 2 }]);
});

test("a claim deletes nodes whose lease expired an hour ago", async () => {
	await stores.storeOf("gone").heartbeat();
	await stores.elapse(LEASE + 3_600_000);
	await stores.storeOf("two").heartbeat();
	await stores.storeOf("one").claim(1, []);
	expect(await stores.db.query("select id from saga_nodes")).toEqual([{ id: "two" }]);
});
