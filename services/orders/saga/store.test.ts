import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import type { Saga } from "../../../lib/saga/saga.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { sagaTable } from "../../../tools/saga-explorer/table.ts";
import { findOrder, retryStuckOrder } from "../orders.queries.ts";
import { advance, withStatus } from "../orders.shipments.ts";
import * as statements from "./statements.ts";
import type { OrderSaga } from "./steps.ts";
import { createOrderStore, type WrittenOrder } from "./store.ts";

/** Longer than any test, so that leases expire only by {@link elapse}. */
const LEASE = 60_000;
const DEADLINE = 30_000;

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["orders"]);
	db = new Database({ url: databaseUrl(databases.pattern, "orders"), poolSize: 6 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});
const clear = async () => {
	for (const table of ["orders", "saga_nodes", "outbox"]) await db.query(`delete from ${table}`);
};
beforeEach(clear);
beforeEach(() => {
	claimBytes = Number.MAX_SAFE_INTEGER;
});

let claimBytes = Number.MAX_SAFE_INTEGER;
const storeOf = (owner: string) =>
	createOrderStore({
		db,
		events: { eventData: (_, data) => JSON.stringify(data), wakeRelay() {} },
		owner,
		leaseMs: LEASE,
		deadlineMs: DEADLINE,
		claimBytes: () => claimBytes,
	});

function newSaga(): OrderSaga {
	const created_at = new Date().toISOString();
	const [id, product_id, user_id] = [uuid(), uuid(), uuid()];
	const line = { product_id, name: "Tea", quantity: 1, unit_price: 5, line_total: 5 };
	const money = { items: [line], total_amount: 5, currency: "EUR" };
	const order = {
		id,
		user_id,
		status: "pending" as const,
		...money,
		cancellation_reason: null,
		created_at,
		updated_at: created_at,
	};
	return {
		id,
		direction: "forward",
		attempt: 1,
		deadline: Date.parse(created_at) + DEADLINE,
		order,
		payment_token: "tok_ok",
		shipping_address: null,
		traceparent: `00-${id.replaceAll("-", "")}-00f067aa0ba902b7-01`,
	};
}
async function insertSagas(owner: string, count = 1): Promise<OrderSaga[]> {
	const sagas = Array.from({ length: count }, newSaga);
	await storeOf(owner).insert(sagas.map((saga) => ({ saga, keyed: undefined })));
	return sagas;
}
const eventsOf = async (id: string) =>
	(
		await db.query<{ type: string }>(
			"select type from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type }) => type);
/** Shifts the timestamps in the database as if the time had elapsed. */
const elapse = async (milliseconds: number) => {
	const earlier = `- make_interval(secs => ${milliseconds / 1000})`;
	await db.query(`update orders set saga_since = saga_since ${earlier}`);
	await db.query(`update saga_nodes set lease_until = lease_until ${earlier}`);
};

const nodes = ["one", "two"] as const;
/** Operations and their relative frequencies. */
const kinds = {
	place: 1,
	complete: 2,
	markCompensating: 2,
	markCompensated: 2,
	abort: 2,
	markStuck: 2,
	cancel: 3,
	retry: 1,
	claim: 3,
	heartbeat: 4,
	release: 1,
	advance: 1,
	elapse: 3,
};
/** One operation. Each kind uses some of the fields. */
const operations = fc.record({
	kind: fc.oneof(
		...Object.entries(kinds).map(([kind, weight]) => ({
			weight,
			arbitrary: fc.constant(kind as keyof typeof kinds),
		})),
	),
	node: fc.constantFrom(...nodes),
	order: fc.nat(3),
	/** A batch. `ahead` makes an attempt outdated or premature; two targets may be one order. */
	targets: fc.array(fc.record({ order: fc.nat(3), ahead: fc.constantFrom(0, 0, 0, -1, 1) }), {
		minLength: 1,
		maxLength: 5,
	}),
	running: fc.uniqueArray(fc.nat(3)),
	milliseconds: fc.constantFrom(LEASE / 2 + 1, LEASE + 1),
});
type Operation = typeof operations extends fc.Arbitrary<infer O> ? O : never;
const keyOf = (saga: Saga | undefined) =>
	saga && `${saga.id} ${saga.direction} ${saga.attempt} ${saga.reason}`;

/** Applies each operation to Postgres and to the model of the saga explorer, and compares the results. */
function comparison() {
	let clock = 0;
	const expectedEvents: string[] = [];
	const sagas: OrderSaga[] = [];
	const table = sagaTable({
		now: () => clock,
		leaseMs: LEASE,
		onMove({ id }, move) {
			if (move === "completed") expectedEvents.push(`order.confirmed ${id}`);
			if (move === "closed") expectedEvents.push(`order.cancelled ${id}`);
		},
	});
	const at = (i: number) => sagas[i % sagas.length]!;
	const placeOrder = async (owner: string) => {
		const [saga] = await insertSagas(owner);
		sagas.push(saga!);
		table.place(owner, saga!);
	};
	/** A batch as a runner writes it: each pair of order and attempt occurs once. */
	const batchOf = (targets: Operation["targets"]) => {
		const some = targets.map(({ order, ahead }) => ({
			...at(order),
			attempt: table.rows.get(at(order).id)!.attempt + ahead,
		}));
		return [...new Map(some.map((saga) => [keyOf(saga), saga])).values()];
	};

	return {
		placeOrder,
		async apply({ kind, node, order, targets, running, milliseconds }: Operation): Promise<void> {
			const [real, model] = [storeOf(node), table.as(node)];
			const { id } = at(order);
			if (kind === "place") return placeOrder(node);
			if (kind === "elapse") {
				clock += milliseconds;
				return elapse(milliseconds);
			}
			if (kind === "retry") return expect(await retryStuckOrder(db, id)).toBe(table.retry(id));
			if (kind === "advance") {
				table.ship(id);
				await advance(db, [id], "confirmed", "shipped");
			} else if (kind === "cancel") {
				const cancelling = await real.beginCancellation(id, "Please");
				expect(keyOf(cancelling)).toBe(keyOf(table.takeBack(node, id, "Please")));
			} else if (kind === "heartbeat" || kind === "release") {
				await real[kind]();
				model[kind]();
			} else if (kind === "claim") {
				const ids = running.map((i) => at(i).id);
				const claimed = await real.claim(100, ids);
				expect(claimed.map(keyOf).sort()).toEqual(model.claim(100, ids).map(keyOf).sort());
			} else if (kind === "complete" || kind === "abort") {
				const some = batchOf(targets);
				expect((await real[kind](some)).map(Boolean)).toEqual(model[kind](some));
			} else {
				const some = batchOf(targets).map((saga, i) => ({ saga, reason: `${i}` }));
				expect((await real[kind](some)).map(Boolean)).toEqual(model[kind](some));
			}
		},
		async compareRows(): Promise<void> {
			const columns =
				"id, status, saga_state as state, saga_owner as owner, saga_attempt as attempt, saga_reason as reason";
			const expected = [...table.rows.values()].map(({ since: _, deadline: __, ...row }) => row);
			expect(
				await db.query(`select ${columns} from orders order by array_position($1::uuid[], id)`, [
					[...table.rows.keys()],
				]),
			).toEqual(expected);
		},
		async compareEvents(): Promise<void> {
			const types = "('order.confirmed', 'order.cancelled')";
			const events = await db.query<{ event: string }>(
				`select type || ' ' || subject as event from outbox where type in ${types}`,
			);
			expect(events.map(({ event }) => event).sort()).toEqual(expectedEvents.sort());
		},
	};
}

test("the statements behave like the explorer's model under any sequence of operations", async () => {
	const property = fc.asyncProperty(
		fc.array(operations, { maxLength: 40, size: "max" }),
		async (all) => {
			await clear();
			const compared = comparison();
			await compared.placeOrder("one");
			for (const operation of all) await compared.apply(operation);
			await compared.compareRows();
			await compared.compareEvents();
		},
	);
	await fc.assert(property, { seed: 1, numRuns: 50 });
});

test("a repeated completion is rejected and publishes no second event", async () => {
	const store = storeOf("one");
	const [saga] = await insertSagas("one");
	const [completed] = await store.complete([saga!]);
	expect(completed).toMatchObject({ order: { status: "confirmed" } });
	expect(saga!.order.status).toBe("pending");
	const { order } = completed as WrittenOrder;
	expect(await findOrder(db, order.id)).toMatchObject({ order, sagaState: null });
	expect(await store.complete([saga!])).toEqual([false]);
	expect(await eventsOf(order.id)).toEqual(["order.created", "order.confirmed"]);
});

test("of two attempts of one order in one batch, only the newer closes and publishes its event", async () => {
	const [old] = await insertSagas("one");
	const cancelling = await storeOf("one").beginCancellation(old!.id, "Please");
	const written = await storeOf("one").markCompensated([
		{ saga: old!, reason: "TIMED_OUT" },
		{ saga: cancelling!, reason: "Please" },
	]);
	expect(written).toEqual([
		false,
		{
			order: {
				...cancelling!.order,
				status: "cancelled",
				cancellation_reason: "Please",
				updated_at: expect.any(String),
			},
		},
	]);
	const events = await db.query(
		"select data->>'reason' as reason from outbox where type = 'order.cancelled'",
	);
	expect(events).toEqual([{ reason: "Please" }]);
});

test("another node claims a node's sagas only after the lease expires or is released", async () => {
	const [one, two] = nodes.map(storeOf);
	await two!.heartbeat();
	for (const endLease of [() => elapse(LEASE + 1), () => one!.release()]) {
		await one!.heartbeat();
		const [saga] = await insertSagas("one");
		await elapse(LEASE / 2);
		for (const store of [one!, two!]) await store.heartbeat();
		expect(await two!.claim(10, [])).toEqual([]);
		await endLease();
		await two!.heartbeat();
		expect(await two!.claim(10, [])).toMatchObject([{ id: saga!.id, attempt: 2 }]);
		expect(await one!.complete([saga!])).toEqual([false]);
		await clear();
		await two!.heartbeat();
	}
});

test("a node claims its own saga again if the saga has not run there for a lease", async () => {
	const [one, two] = nodes.map(storeOf);
	const [lost, running] = await insertSagas("one", 2);
	const claims = async () => {
		for (const store of [one!, two!]) await store.heartbeat();
		return [await two!.claim(10, []), await one!.claim(10, [running!.id])];
	};
	expect(await claims()).toEqual([[], []]);
	await elapse(LEASE + 1);
	expect(await claims()).toMatchObject([[], [{ id: lost!.id, attempt: 2 }]]);
	expect(await claims()).toEqual([[], []]);
});

test("concurrent claims of two nodes take each saga once, under a new attempt", async () => {
	for (let round = 0; round < 5; round++) {
		await clear();
		for (const name of nodes) await storeOf(name).heartbeat();
		const open = await insertSagas("gone", 40);
		const [first, second] = await Promise.all(nodes.map((name) => storeOf(name).claim(30, [])));
		const claimed = [...first!, ...second!];
		expect(claimed.map(({ id }) => id).sort()).toEqual(open.map(({ id }) => id).sort());
		expect(new Set(claimed.map(({ attempt }) => attempt))).toEqual(new Set([2]));
	}
});

test("repeated claims and releases reach every open saga", async () => {
	const two = storeOf("two");
	const open = await insertSagas("gone", 7);
	const claimed = new Set<string>();
	for (let round = 0; round < 4; round++) {
		await two.heartbeat();
		for (const { id } of await two.claim(2, [])) claimed.add(id);
		await two.release();
	}
	expect(claimed).toEqual(new Set(open.map(({ id }) => id)));
});

test("a claim skips rows that a concurrent claim has locked", async () => {
	await storeOf("two").heartbeat();
	const open = await insertSagas("gone", 3);
	const [, , rest] = await db.transaction(async (tx) => [
		...(await tx.query<{ id: string }>(statements.CLAIM, ["one", 2, [], LEASE, claimBytes])),
		...(await storeOf("two").claim(10, [])),
	]);
	expect(open.map(({ id }) => id)).toContain(rest!.id);
	expect(
		await db.query("select saga_owner as owner, count(*) as n from orders group by 1 order by 1"),
	).toEqual([
		{ owner: "one", n: 2 },
		{ owner: "two", n: 1 },
	]);
});

test("a claim returns at most its limit, oldest sagas first", async () => {
	const recent = await insertSagas("gone", 2);
	const old = await insertSagas("gone", 2);
	await db.query(
		"update orders set saga_since = now() - interval '1 minute' where id = any($1::uuid[])",
		[old.map(({ id }) => id)],
	);
	await storeOf("one").heartbeat();
	const ids = async (limit: number) =>
		(await storeOf("one").claim(limit, [])).map(({ id }) => id).sort();
	expect(await ids(2)).toEqual(old.map(({ id }) => id).sort());
	expect(await ids(200)).toEqual(recent.map(({ id }) => id).sort());
	expect(await ids(200)).toEqual([]);
});

test("a claim stays within its limit of bytes but returns at least one saga", async () => {
	await storeOf("one").heartbeat();
	const sagas = await insertSagas("gone", 3);
	const [{ bytes } = { bytes: 0 }] = await db.query<{ bytes: number }>(
		"select octet_length(items::text) as bytes from orders limit 1",
	);
	const claim = async (limit: number) => {
		claimBytes = limit;
		const ids = (await storeOf("one").claim(10, [])).map(({ id }) => id);
		return sagas.filter(({ id }) => ids.includes(id)).length;
	};
	expect([await claim(2 * bytes), await claim(1), await claim(Number.MAX_SAFE_INTEGER)]).toEqual([
		2, 1, 0,
	]);
});

test("a claimed saga contains the parameters of its steps", async () => {
	const [saga] = await insertSagas("gone");
	expect(await storeOf("one").claim(1, [])).toEqual([{ ...saga, attempt: 2 }]);
});

/** Runs a statement in a transaction, commits once `other` waits for its lock, and returns the result of `other`. */
const commitBefore = <T>(
	statement: typeof statements.COMPLETE,
	values: unknown[],
	other: () => Promise<T>,
): Promise<T> => {
	let waiting: Promise<T> | undefined;
	return db
		.transaction(async (tx) => {
			await tx.query(statement, values);
			waiting = other();
			await eventually(async () => {
				const [row] = await db.query(
					"select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
				);
				expect(row).toEqual({ n: 1 });
			});
		})
		.then(() => waiting!);
};

test("a write that waits for a concurrent cancellation has no effect and publishes nothing", async () => {
	const store = storeOf("one");
	const ship = async ({ id }: Saga) => [
		(await advance(db, [id], "confirmed", "shipped")).length > 0,
	];
	const compensate = (saga: OrderSaga): Promise<unknown> =>
		store.markCompensating([{ saga, reason: "NO" }]);
	const complete = (saga: OrderSaga): Promise<unknown> => store.complete([saga]);
	for (const write of [compensate, complete, ship]) {
		const [saga] = await insertSagas("one");
		if (write === ship) await complete(saga!);
		const before = await eventsOf(saga!.id);
		expect(
			await commitBefore(statements.BEGIN_CANCELLATION, ["two", saga!.id, "Please", null], () =>
				write(saga!),
			),
		).toEqual([false]);
		expect(await eventsOf(saga!.id)).toEqual(before);
		expect(
			await db.query("select saga_owner, saga_attempt, saga_reason from orders where id = $1", [
				saga!.id,
			]),
		).toEqual([{ saga_owner: "two", saga_attempt: 2, saga_reason: "Please" }]);
	}
});

test("a cancellation that waits for a concurrent completion cancels the confirmed order", async () => {
	const [saga] = await insertSagas("one");
	const values = [[saga!.id], [1], ["{}"], new Date().toISOString()];
	const cancelling = await commitBefore(statements.COMPLETE, values, () =>
		storeOf("two").beginCancellation(saga!.id, "Please"),
	);
	expect(cancelling).toMatchObject({
		direction: "backward",
		attempt: 2,
		order: { status: "confirmed" },
	});
});

test("an order changes its status only without an open saga", async () => {
	const [open, ended, pending] = await insertSagas("one", 3);
	const ids = [open!.id, ended!.id, pending!.id];
	await storeOf("one").complete([open!, ended!]);
	await storeOf("one").beginCancellation(open!.id, "Please");
	expect(await advance(db, ids, "confirmed", "shipped")).toEqual([{ id: ended!.id }]);
	expect(await withStatus(db, ids, ["confirmed"])).toEqual([{ id: open!.id }]);
	expect(await eventsOf(ended!.id)).toEqual(["order.created", "order.confirmed", "order.shipped"]);
});

test("reads the lines of an old order from order_items", async () => {
	const [saga] = await insertSagas("one");
	const [line] = saga!.order.items;
	await db.query("update orders set items = null where id = $1", [saga!.id]);
	await db.query(
		`insert into order_items (order_id, position, product_id, name, quantity, unit_price, line_total)
		values ($1, 1, $2, 'Cup', 2, 1.50, 3), ($1, 0, $3, $4, 1, 5, 5)`,
		[saga!.id, line!.product_id, line!.product_id, line!.name],
	);
	const cups = {
		product_id: line!.product_id,
		name: "Cup",
		quantity: 2,
		unit_price: 1.5,
		line_total: 3,
	};
	expect((await findOrder(db, saga!.id))!.order).toEqual({ ...saga!.order, items: [line, cups] });
});

test("a claim deletes nodes whose lease expired an hour ago", async () => {
	await storeOf("gone").heartbeat();
	await elapse(LEASE + 3_600_000);
	await storeOf("two").heartbeat();
	await storeOf("one").claim(1, []);
	expect(await db.query("select id from saga_nodes")).toEqual([{ id: "two" }]);
});
