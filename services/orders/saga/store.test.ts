import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import type { Saga } from "../../../lib/saga/saga.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { sagaTable } from "../../../tools/saga-explorer/table.ts";
import * as statements from "../orders.statements.ts";
import type { OrderSaga } from "./steps.ts";
import { advance, beginCancellation, find, orderStore, place, retry, withStatus } from "./store.ts";

/** Longer than a test takes, so that leases run out only when a test says so. */
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
	orderStore({
		db,
		owner,
		leaseMs: LEASE,
		deadlineMs: DEADLINE,
		claimBytes: () => claimBytes,
		told: () => {},
		fact: (_, order, reason) => JSON.stringify({ order_id: order.id, reason }),
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
async function placed(owner: string, count = 1): Promise<OrderSaga[]> {
	const sagas = Array.from({ length: count }, newSaga);
	await place(
		db,
		owner,
		sagas.map((saga) => ({ saga, fact: "{}", request: undefined })),
	);
	return sagas;
}
const eventsOf = async (id: string) =>
	(
		await db.query<{ type: string }>(
			"select type from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type }) => type);
/** As if so much time had passed. */
const pass = async (milliseconds: number) => {
	const earlier = `- make_interval(secs => ${milliseconds / 1000})`;
	await db.query(`update orders set saga_since = saga_since ${earlier}`);
	await db.query(`update saga_nodes set lease_until = lease_until ${earlier}`);
};

const nodes = ["one", "two"] as const;
/** How often each comes. */
const kinds = {
	place: 1,
	complete: 2,
	markCompensating: 2,
	markCompensated: 2,
	abort: 2,
	markStuck: 2,
	"take back": 3,
	retry: 1,
	claim: 3,
	heartbeat: 4,
	release: 1,
	advance: 1,
	pass: 3,
};
/** One operation; which of the fields count depends on its kind. */
const operations = fc.record({
	kind: fc.oneof(
		...Object.entries(kinds).map(([kind, weight]) => ({
			weight,
			arbitrary: fc.constant(kind as keyof typeof kinds),
		})),
	),
	node: fc.constantFrom(...nodes),
	order: fc.nat(3),
	/** Several at once, some with an attempt that is over or yet to come, perhaps two attempts at one order. */
	targets: fc.array(fc.record({ order: fc.nat(3), ahead: fc.constantFrom(0, 0, 0, -1, 1) }), {
		minLength: 1,
		maxLength: 5,
	}),
	running: fc.uniqueArray(fc.nat(3)),
	milliseconds: fc.constantFrom(LEASE / 2 + 1, LEASE + 1),
});
type Operation = typeof operations extends fc.Arbitrary<infer O> ? O : never;
const essence = (saga: Saga | undefined) =>
	saga && `${saga.id} ${saga.direction} ${saga.attempt} ${saga.reason}`;

/** Does everything twice, in Postgres and in the model that the sagas are proved with, and compares. */
function bothWorlds() {
	let clock = 0;
	const told: string[] = [];
	const sagas: OrderSaga[] = [];
	const table = sagaTable({
		now: () => clock,
		leaseMs: LEASE,
		onMove({ id }, move) {
			if (move === "completed") told.push(`order.confirmed ${id}`);
			if (move === "closed") told.push(`order.cancelled ${id}`);
		},
	});
	const at = (i: number) => sagas[i % sagas.length]!;
	const begin = async (owner: string) => {
		const [saga] = await placed(owner);
		sagas.push(saga!);
		table.place(owner, saga!);
	};
	/** Each pair of an order and an attempt once, as a runner would write it. */
	const attempts = (targets: Operation["targets"]) => {
		const some = targets.map(({ order, ahead }) => ({
			...at(order),
			attempt: table.rows.get(at(order).id)!.attempt + ahead,
		}));
		return [...new Map(some.map((saga) => [essence(saga), saga])).values()];
	};

	return {
		begin,
		async play({ kind, node, order, targets, running, milliseconds }: Operation): Promise<void> {
			const [real, model] = [storeOf(node), table.as(node)];
			const { id } = at(order);
			if (kind === "place") return begin(node);
			if (kind === "pass") {
				clock += milliseconds;
				return pass(milliseconds);
			}
			if (kind === "retry") return expect(await retry(db, id)).toBe(table.retry(id));
			if (kind === "advance") {
				table.ship(id);
				await advance(db, [id], "confirmed", "shipped");
			} else if (kind === "take back") {
				const taken = await beginCancellation(db, node, id, "Please", DEADLINE);
				expect(essence(taken)).toBe(essence(table.takeBack(node, id, "Please")));
			} else if (kind === "heartbeat" || kind === "release") {
				await real[kind]();
				model[kind]();
			} else if (kind === "claim") {
				const ids = running.map((i) => at(i).id);
				const claimed = await real.claim(100, ids);
				expect(claimed.map(essence).sort()).toEqual(model.claim(100, ids).map(essence).sort());
			} else if (kind === "complete" || kind === "abort") {
				const some = attempts(targets);
				expect(await real[kind](some)).toEqual(model[kind](some));
			} else {
				const some = attempts(targets).map((saga, i) => ({ saga, reason: `${i}` }));
				expect(await real[kind](some)).toEqual(model[kind](some));
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
			expect(events.map(({ event }) => event).sort()).toEqual(told.sort());
		},
	};
}

test("the statements do what the sagas are proved with, whatever is written in whatever order", async () => {
	const property = fc.asyncProperty(
		fc.array(operations, { maxLength: 40, size: "max" }),
		async (all) => {
			await clear();
			const worlds = bothWorlds();
			await worlds.begin("one");
			for (const operation of all) await worlds.play(operation);
			await worlds.compareRows();
			await worlds.compareEvents();
		},
	);
	await fc.assert(property, { seed: 1, numRuns: 50 });
});

test("an end that is written again says no, tells nobody twice, and leaves the order that travels along as it is", async () => {
	const store = storeOf("one");
	const [saga] = await placed("one");
	expect(await store.complete([saga!])).toEqual([true]);
	const { order } = saga!;
	expect(order).toMatchObject({ status: "confirmed" });
	expect(await find(db, order.id)).toMatchObject({ order, state: null });
	const copy = { ...saga!, order: { ...order, status: "pending" as const } };
	expect(await store.complete([copy])).toEqual([false]);
	expect(copy.order.status).toBe("pending");
	expect(await eventsOf(order.id)).toEqual(["order.created", "order.confirmed"]);
});

test("of two attempts at one order in one batch, only the newer is told that it closed, and the event is its own", async () => {
	const [old] = await placed("one");
	const taken = await beginCancellation(db, "one", old!.id, "Please", DEADLINE);
	const ours = await storeOf("one").markCompensated([
		{ saga: old!, reason: "TIMED_OUT" },
		{ saga: taken!, reason: "Please" },
	]);
	expect(ours).toEqual([false, true]);
	expect([old!.order.status, taken!.order.status]).toEqual(["pending", "cancelled"]);
	const told = await db.query(
		"select data->>'reason' as reason from outbox where type = 'order.cancelled'",
	);
	expect(told).toEqual([{ reason: "Please" }]);
});

test("a node's orders are its own while it beats, and anybody's after a lease of silence or when it has left", async () => {
	const [one, two] = nodes.map(storeOf);
	await two!.heartbeat();
	for (const goAway of [() => pass(LEASE + 1), () => one!.release()]) {
		await one!.heartbeat();
		const [saga] = await placed("one");
		await pass(LEASE / 2);
		for (const store of [one!, two!]) await store.heartbeat();
		expect(await two!.claim(10, [])).toEqual([]);
		await goAway();
		await two!.heartbeat();
		expect(await two!.claim(10, [])).toMatchObject([{ id: saga!.id, attempt: 2 }]);
		expect(await one!.complete([saga!])).toEqual([false]);
		await clear();
		await two!.heartbeat();
	}
});

test("what has been a node's own for a lease and does not run there it takes up itself, and nobody else", async () => {
	const [one, two] = nodes.map(storeOf);
	const [lost, running] = await placed("one", 2);
	const claims = async () => {
		for (const store of [one!, two!]) await store.heartbeat();
		return [await two!.claim(10, []), await one!.claim(10, [running!.id])];
	};
	expect(await claims()).toEqual([[], []]);
	await pass(LEASE + 1);
	expect(await claims()).toMatchObject([[], [{ id: lost!.id, attempt: 2 }]]);
	expect(await claims()).toEqual([[], []]);
});

test("two nodes that claim at once share what is there, each order once and under a new attempt", async () => {
	for (let round = 0; round < 5; round++) {
		await clear();
		for (const name of nodes) await storeOf(name).heartbeat();
		const open = await placed("gone", 40);
		const [mine, yours] = await Promise.all(nodes.map((name) => storeOf(name).claim(30, [])));
		const claimed = [...mine!, ...yours!];
		expect(claimed.map(({ id }) => id).sort()).toEqual(open.map(({ id }) => id).sort());
		expect(new Set(claimed.map(({ attempt }) => attempt))).toEqual(new Set([2]));
	}
});

test("sagas that are claimed and given up again and again do not keep the others from being claimed", async () => {
	const two = storeOf("two");
	const open = await placed("gone", 7);
	const claimed = new Set<string>();
	for (let round = 0; round < 4; round++) {
		await two.heartbeat();
		for (const { id } of await two.claim(2, [])) claimed.add(id);
		await two.release();
	}
	expect(claimed).toEqual(new Set(open.map(({ id }) => id)));
});

test("a claim does not wait for what another node is claiming", async () => {
	await storeOf("two").heartbeat();
	const open = await placed("gone", 3);
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

test("a claim takes at most its limit, what has waited longest first", async () => {
	const recent = await placed("gone", 2);
	const old = await placed("gone", 2);
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

test("a claim takes at most its limit of bytes, and at least one saga", async () => {
	await storeOf("one").heartbeat();
	const sagas = await placed("gone", 3);
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

test("a claimed saga brings all that its steps need", async () => {
	const [saga] = await placed("gone");
	expect(await storeOf("one").claim(1, [])).toEqual([{ ...saga, attempt: 2 }]);
});

/** Holds a write open in a transaction until another one waits for it; answers what the other one comes to. */
const overtaken = <T>(
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

test("a write that has to wait for a cancel finds that it is too late, and tells nobody", async () => {
	const store = storeOf("one");
	const ship = async ({ id }: Saga) => [
		(await advance(db, [id], "confirmed", "shipped")).length > 0,
	];
	const turn = (saga: OrderSaga) => store.markCompensating([{ saga, reason: "NO" }]);
	const complete = (saga: OrderSaga) => store.complete([saga]);
	for (const write of [turn, complete, ship]) {
		const [saga] = await placed("one");
		if (write === ship) await complete(saga!);
		const before = await eventsOf(saga!.id);
		expect(
			await overtaken(statements.BEGIN_CANCELLATION, ["two", saga!.id, "Please", null], () =>
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

test("a cancel that has to wait for the end of the saga takes back what was confirmed", async () => {
	const [saga] = await placed("one");
	const values = [[saga!.id], [1], ["{}"], new Date().toISOString()];
	const taken = await overtaken(statements.COMPLETE, values, () =>
		beginCancellation(db, "two", saga!.id, "Please", DEADLINE),
	);
	expect(taken).toMatchObject({
		direction: "backward",
		attempt: 2,
		order: { status: "confirmed" },
	});
});

test("an order changes its status only while no saga works on it", async () => {
	const [open, over, other] = await placed("one", 3);
	const ids = [open!.id, over!.id, other!.id];
	await storeOf("one").complete([open!, over!]);
	await beginCancellation(db, "one", open!.id, "Please", DEADLINE);
	expect(await advance(db, ids, "confirmed", "shipped")).toEqual([{ id: over!.id }]);
	expect(await withStatus(db, ids, ["confirmed"])).toEqual([{ id: open!.id }]);
	expect(await eventsOf(over!.id)).toEqual(["order.created", "order.confirmed", "order.shipped"]);
});

test("the lines of an order from before are read from where they were", async () => {
	const [saga] = await placed("one");
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
	expect((await find(db, saga!.id))!.order).toEqual({ ...saga!.order, items: [line, cups] });
});

test("nodes that have been gone for long are forgotten", async () => {
	await storeOf("gone").heartbeat();
	await pass(LEASE + 3_600_000);
	await storeOf("two").heartbeat();
	await storeOf("one").claim(1, []);
	expect(await db.query("select id from saga_nodes")).toEqual([{ id: "two" }]);
});
