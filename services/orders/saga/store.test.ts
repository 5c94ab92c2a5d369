import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import type { Saga } from "../../../lib/saga/saga.ts";
import { callWhileLocked } from "../../../test/support/lock-waits.ts";
import { LEASE, openSagaStores, type SagaStores } from "../../../test/support/order-sagas.ts";
import { sagaTable } from "../../../tools/saga-explorer/table.ts";
import { toOrder, toStored } from "../orders.prices.rules.ts";
import { findOrder, retryStuckOrder } from "../orders.queries.ts";
import { advance, withStatus } from "../orders.shipments.ts";
import { pricedOrder } from "../test/stubbed-order-shop.ts";
import { findFailures, pruneFailures } from "./failures.ts";
import * as statements from "./statements.ts";
import type { OrderSaga } from "./steps.ts";
import type { WrittenOrder } from "./store.ts";

let stores: SagaStores;
beforeAll(async () => {
	stores = await openSagaStores();
});
afterAll(() => stores?.close());
beforeEach(() => stores.clear());

const eventsOf = async (id: string) =>
	(
		await stores.db.query<{ type: string }>(
			"select type from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type }) => type);
const nodes = ["one", "two"] as const;
/** Operations and their relative frequencies. */
const kinds = {
	place: 1,
	complete: 2,
	markWaiting: 3,
	resume: 2,
	markCompensating: 2,
	markCompensated: 2,
	abort: 2,
	markStuck: 2,
	recordFailures: 3,
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

const failure = { step: "charge", tries: 1, error: "REQUEST_TIMEOUT", isLast: false };
const PAYMENT = { status: "requires_action", client_secret: "secret", expires_at: null };

/** Applies each operation to Postgres and to the explorer's model, and compares the results. */
function comparison() {
	let clock = 0;
	const expectedEvents: string[] = [];
	const sagas: OrderSaga[] = [];
	const table = sagaTable({
		now: () => clock,
		leaseMs: LEASE,
		deadlineMs: LEASE,
		onMove({ id }, move) {
			if (move === "completed") expectedEvents.push(`order.confirmed ${id}`);
			if (move === "waiting") expectedEvents.push(`order.payment_pending ${id}`);
			if (move === "closed") expectedEvents.push(`order.cancelled ${id}`);
		},
	});
	const at = (i: number) => sagas[i % sagas.length]!;
	const placeOrder = async (owner: string) => {
		const [saga] = await stores.insertSagas(owner);
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
			const [real, model] = [stores.storeOf(node), table.as(node)];
			const { id } = at(order);
			if (kind === "place") return placeOrder(node);
			if (kind === "elapse") {
				clock += milliseconds;
				return stores.elapse(milliseconds);
			}
			if (kind === "resume") {
				table.resume(id);
				return real.resume(stores.db, [id]);
			}
			if (kind === "markWaiting") {
				const some = batchOf(targets);
				const wait = milliseconds > LEASE ? undefined : milliseconds;
				const until = (now: number) => (wait === undefined ? undefined : now + wait);
				const waits = (now: number) =>
					some.map((saga) => ({ saga, until: until(now), data: PAYMENT }));
				expect((await real.markWaiting(waits(Date.now()))).map(Boolean)).toEqual(
					model.markWaiting(waits(clock)),
				);
				return;
			}
			if (kind === "retry")
				return expect(await retryStuckOrder(stores.db, id)).toBe(table.retry(id));
			if (kind === "advance") {
				table.ship(id);
				await advance(stores.db, [id], "confirmed", "shipped");
			} else if (kind === "cancel") {
				const cancelling = await real.beginCancellation(id, "Please");
				expect(keyOf(cancelling)).toBe(keyOf(table.beginCancellation(node, id, "Please")));
			} else if (kind === "heartbeat" || kind === "release") {
				await real[kind]();
				model[kind]();
			} else if (kind === "claim") {
				const ids = running.map((i) => at(i).id);
				const claimed = await real.claim(100, ids);
				expect(claimed.map(keyOf).sort()).toEqual(model.claim(100, ids).map(keyOf).sort());
			} else if (kind === "recordFailures") {
				const failures = batchOf(targets).map((saga) => ({
					saga,
					...failure,
					step: node,
					tries: order,
				}));
				expect(await real.recordFailures(failures)).toEqual(model.recordFailures(failures));
			} else if (kind === "complete" || kind === "abort") {
				const some = batchOf(targets);
				expect((await real[kind](some)).map(Boolean)).toEqual(model[kind](some));
			} else {
				const some = batchOf(targets).map((saga, i) => ({ saga, reason: `${i}` }));
				expect((await real[kind](some)).map(Boolean)).toEqual(model[kind](some));
			}
		},
		async compareRows(): Promise<void> {
			const columns = `id, status, saga_state as state, saga_owner as owner,
				saga_attempt as attempt, saga_reason as reason, saga_wake_at is not null as "wakeAt",
				array(select format('%s %s %s', attempt, step, tries) from step_failures
					where order_id = id order by time) as failures`;
			const expected = [...table.rows.values()].map(({ since: _, deadline: __, ...row }) => ({
				...row,
				wakeAt: row.wakeAt !== null,
			}));
			expect(
				await stores.db.query(
					`select ${columns} from orders order by array_position($1::uuid[], id)`,
					[[...table.rows.keys()]],
				),
			).toEqual(expected);
		},
		async compareEvents(): Promise<void> {
			const types = "('order.confirmed', 'order.payment_pending', 'order.cancelled')";
			const events = await stores.db.query<{ event: string }>(
				`select type || ' ' || subject as event from outbox where type in ${types}`,
			);
			expect(events.map(({ event }) => event).sort()).toEqual(expectedEvents.sort());
		},
	};
}

test("the statements behave like the explorer's model in any sequence", async () => {
	const property = fc.asyncProperty(
		fc.array(operations, { maxLength: 40, size: "max" }),
		async (all) => {
			await stores.clear();
			const compared = comparison();
			await compared.placeOrder("one");
			for (const operation of all) await compared.apply(operation);
			await compared.compareRows();
			await compared.compareEvents();
		},
	);
	await fc.assert(property, { seed: 1, numRuns: 50 });
});

test("records failures of the current attempt only, and the last 20 of each order", async () => {
	const store = stores.storeOf("one");
	const [old, other] = await stores.insertSagas("one", 2);
	const record = (saga: OrderSaga, tries: number) =>
		store.recordFailures([{ saga, ...failure, tries }]);
	const recorded = async ({ id }: OrderSaga) =>
		(await findFailures(stores.db, id)).map(({ attempt, tries }) => `${attempt} ${tries}`);
	expect([await record(other!, 1), await record(old!, 1)]).toEqual([[true], [true]]);
	const [claimed] = await stores.storeOf("two").claim(1, [other!.id]);
	expect(claimed).toMatchObject({ id: old!.id, attempt: 2 });
	expect(await record(old!, 2)).toEqual([false]);
	for (let tries = 1; tries <= 25; tries++) expect(await record(claimed!, tries)).toEqual([true]);
	expect(await recorded(claimed!)).toEqual(Array.from({ length: 20 }, (_, i) => `2 ${i + 6}`));
	expect(await findFailures(stores.db, other!.id)).toEqual([
		{
			attempt: 1,
			step: "charge",
			tries: 1,
			error: "REQUEST_TIMEOUT",
			is_last: false,
			traceparent: other!.traceparent,
			time: expect.any(String),
		},
	]);
});

test("deletes failures after the retention", async () => {
	const [old, recent] = await stores.insertSagas("one", 2);
	await stores.storeOf("one").recordFailures([old!, recent!].map((saga) => ({ saga, ...failure })));
	await stores.db.query(
		"update step_failures set time = time - interval '24 hours' where order_id = $1",
		[old!.id],
	);
	expect(await pruneFailures(stores.db, 24)).toBe(false);
	expect(await findFailures(stores.db, old!.id)).toEqual([]);
	expect(await findFailures(stores.db, recent!.id)).toHaveLength(1);
});

test.each([
	["without a deadline", undefined],
	["with a later deadline", LEASE],
])(
	"a saga that an event resumed before it parked %s is due at once",
	async (_wait, milliseconds) => {
		const store = stores.storeOf("one");
		const [saga] = await stores.insertSagas("one");
		await store.resume(stores.db, [saga!.id]);
		const until = milliseconds && Date.now() + milliseconds;
		await store.markWaiting([{ saga: saga!, until, data: PAYMENT }]);
		expect(await stores.storeOf("two").claim(10, [])).toMatchObject([{ id: saga!.id, attempt: 2 }]);
	},
);

test("a repeated completion is rejected and publishes no second event", async () => {
	const store = stores.storeOf("one");
	const [saga] = await stores.insertSagas("one");
	const [completed] = await store.complete([saga!]);
	expect(completed).toMatchObject({ order: { status: "confirmed" } });
	expect(saga!.order.status).toBe("pending");
	const { order } = completed as WrittenOrder;
	expect(await findOrder(stores.db, order.id)).toMatchObject({ order, sagaState: null });
	expect(await store.complete([saga!])).toEqual([false]);
	expect(await eventsOf(order.id)).toEqual(["order.created", "order.confirmed"]);
});

test("of two attempts in a batch, the newer ends the saga and publishes its event", async () => {
	const [old] = await stores.insertSagas("one");
	const cancelling = await stores.storeOf("one").beginCancellation(old!.id, "Please");
	const written = await stores.storeOf("one").markCompensated([
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
	const events = await stores.db.query(
		"select data->>'reason' as reason from outbox where type = 'order.cancelled'",
	);
	expect(events).toEqual([{ reason: "Please" }]);
});

/**
 * Runs a statement in a transaction, commits once `other` waits for its lock, and returns the
 * result of `other`.
 */
const commitBefore = <T>(
	statement: typeof statements.COMPLETE,
	values: unknown[],
	other: () => Promise<T>,
): Promise<T> => callWhileLocked(stores.db, (tx) => tx.query(statement, values), other);

test("a write that waits for a concurrent cancellation has no effect", async () => {
	const store = stores.storeOf("one");
	const ship = async ({ id }: Saga) => [
		(await advance(stores.db, [id], "confirmed", "shipped")).length > 0,
	];
	const compensate = (saga: OrderSaga): Promise<unknown> =>
		store.markCompensating([{ saga, reason: "NO" }]);
	const complete = (saga: OrderSaga): Promise<unknown> => store.complete([saga]);
	for (const write of [compensate, complete, ship]) {
		const [saga] = await stores.insertSagas("one");
		if (write === ship) await complete(saga!);
		const before = await eventsOf(saga!.id);
		expect(
			await commitBefore(statements.BEGIN_CANCELLATION, ["two", saga!.id, "Please", null], () =>
				write(saga!),
			),
		).toEqual([false]);
		expect(await eventsOf(saga!.id)).toEqual(before);
		expect(
			await stores.db.query(
				"select saga_owner, saga_attempt, saga_reason from orders where id = $1",
				[saga!.id],
			),
		).toEqual([{ saga_owner: "two", saga_attempt: 2, saga_reason: "Please" }]);
	}
});

test("a cancellation that waits for a completion cancels the confirmed order", async () => {
	const [saga] = await stores.insertSagas("one");
	const values = [[saga!.id], [1], ["{}"], new Date().toISOString()];
	const cancelling = await commitBefore(statements.COMPLETE, values, () =>
		stores.storeOf("two").beginCancellation(saga!.id, "Please"),
	);
	expect(cancelling).toMatchObject({
		direction: "backward",
		attempt: 2,
		order: { status: "confirmed" },
	});
});

test("an order changes its status only without an open saga", async () => {
	const [open, ended, pending] = await stores.insertSagas("one", 3);
	const ids = [open!.id, ended!.id, pending!.id];
	await stores.storeOf("one").complete([open!, ended!]);
	await stores.storeOf("one").beginCancellation(open!.id, "Please");
	expect(await advance(stores.db, ids, "confirmed", "shipped")).toEqual([{ id: ended!.id }]);
	expect(await withStatus(stores.db, ids, ["confirmed"])).toEqual([{ id: open!.id }]);
	expect(await eventsOf(ended!.id)).toEqual(["order.created", "order.confirmed", "order.shipped"]);
});

test("inserts the new orders of a batch that contains existing ones", async () => {
	const [existing] = await stores.insertSagas("one");
	const [id, key] = [uuid(), uuid()];
	const [fresh, keyed] = [
		{ ...existing!, id, order: { ...existing!.order, id } },
		{ ...existing!, id: key, order: { ...existing!.order, id: key } },
	];
	const caller = { user_id: uuid(), action: "orders.create", key: "key", hash: "" };
	const store = stores.storeOf("two");
	const drafts = [existing!, fresh, keyed].map((saga) => ({
		saga,
		keyed: saga === keyed ? caller : undefined,
	}));
	expect(await store.insert(drafts)).toEqual(new Set([id, key]));
	expect(await store.insert(drafts)).toEqual(new Set());
	expect(await eventsOf(existing!.id)).toEqual(["order.created"]);
	expect(await eventsOf(id)).toEqual(["order.created"]);
});

test("an order keeps its prices for each later run", async () => {
	const [plain] = await stores.insertSagas("gone");
	const id = uuid();
	const { items, priced } = toStored(pricedOrder());
	const order = { ...plain!.order, id, items, user_id: null, email: priced.email };
	await stores
		.storeOf("gone")
		.insert([{ saga: { ...plain!, id, order, priced }, keyed: undefined }]);
	const claimed = await stores.storeOf("one").claim(10, []);
	expect(claimed.find((saga) => saga.id === id)).toMatchObject({ order, priced });
	expect(claimed.find((saga) => saga.id === plain!.id)).toMatchObject({ priced: null });
});

test("reads the lines of an old order from order_items", async () => {
	const [saga] = await stores.insertSagas("one");
	const [line] = saga!.order.items;
	await stores.db.query("update orders set items = null where id = $1", [saga!.id]);
	await stores.db.query(
		`insert into order_items (order_id, position, product_id, name, quantity, unit_price,
			line_total)
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
	const order = { ...saga!.order, items: [line!, cups] };
	expect((await findOrder(stores.db, saga!.id))!.order).toEqual(toOrder(order, saga!));
});
