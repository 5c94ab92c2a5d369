import { currentTraceparent, traceparentsOf } from "../../../lib/context/traceparent.ts";
import type { KeyedRequest } from "../../../lib/idempotency/idempotency.ts";
import type { Database, Queryable, Statement } from "../../../lib/persistence/database.ts";
import type { Compensation, Saga, SagaOutcome, SagaStore } from "../../../lib/saga/saga.ts";
import type { HasDurableEvents } from "../../../mixins/durable-events.mixin.ts";
import type { StoredOrder } from "../orders.prices.rules.ts";
import { toStoredOrder } from "../orders.queries.ts";
import type { PendingPayment } from "../orders.rules.ts";
import type { SagaRow } from "../orders.statements.ts";
import * as statements from "./statements.ts";
import type { OrderSaga } from "./steps.ts";

interface StoreOptions {
	readonly db: Database;
	readonly events: Pick<HasDurableEvents, "eventData" | "wakeRelay">;
	/** ID of this node, written to the orders whose sagas it runs. */
	readonly owner: string;
	readonly leaseMs: number;
	/**
	 * Time limit for the forward direction of a saga, in milliseconds after the order's creation or
	 * the saga's resumption.
	 */
	readonly deadlineMs: number;
	/** Maximum bytes of order lines per claim. At least one order is claimed. */
	claimBytes(): number;
}

/** A valid new order, before its INSERT. */
export interface OrderDraft {
	readonly saga: OrderSaga;
	/** Set if the request has an idempotency key. */
	readonly keyed: KeyedRequest | undefined;
}
/** Result of the final write of a saga: the order in its new state. */
export interface WrittenOrder {
	readonly order: StoredOrder;
}
export type OrderSagaOutcome = SagaOutcome<WrittenOrder>;

/**
 * Saga store on the rows of the orders table. Each write requires the saga's attempt, so a run that
 * another run has superseded changes nothing. Events are written in the statement of their change.
 */
export function createOrderStore({
	db,
	events,
	owner,
	leaseMs,
	deadlineMs,
	claimBytes,
}: StoreOptions) {
	/** Runs a statement for the sagas. Returns for each saga whether its row was written. */
	async function write(
		sagas: readonly OrderSaga[],
		statement: Statement,
		...values: unknown[]
	): Promise<boolean[]> {
		const ids = sagas.map(({ id }) => id);
		const attempts = sagas.map(({ attempt }) => attempt);
		const rows = await db.query<Pick<Saga, "id" | "attempt">>(statement, [
			ids,
			attempts,
			...values,
		]);
		const written = new Set(rows.map(({ id, attempt }) => `${id} ${attempt}`));
		return sagas.map(({ id, attempt }) => written.has(`${id} ${attempt}`));
	}

	const sagaStore: SagaStore<OrderSaga, WrittenOrder> = {
		async complete(sagas) {
			const data = sagas.map((saga) => events.eventData("order.confirmed", eventDataOf(saga)));
			const updated_at = new Date().toISOString();
			const written = await write(sagas, statements.COMPLETE, data, updated_at);
			events.wakeRelay("order.confirmed");
			return sagas.map(
				({ order }, i) =>
					written[i]! && { order: { ...order, status: "confirmed", payment: null, updated_at } },
			);
		},

		async markWaiting(waits) {
			const payments = waits.map(({ data }) => data as PendingPayment);
			const updated_at = new Date().toISOString();
			const written = await write(
				waits.map(({ saga }) => saga),
				statements.MARK_WAITING,
				waits.map(({ until }) => until && new Date(until).toISOString()),
				payments.map((payment) => JSON.stringify(payment)),
				waits.map(({ saga }, i) =>
					events.eventData("order.payment_pending", {
						...eventDataOf(saga),
						payment_status: payments[i]!.status,
					}),
				),
				updated_at,
			);
			events.wakeRelay("order.payment_pending");
			return waits.map(
				({ saga: { order } }, i) =>
					written[i]! && { order: { ...order, payment: payments[i]!, updated_at } },
			);
		},

		markCompensating: (compensations) =>
			write(sagasOf(compensations), statements.MARK_COMPENSATING, reasonsOf(compensations)),

		async markCompensated(compensations) {
			const data = compensations.map(({ saga, reason }) =>
				events.eventData("order.cancelled", { ...eventDataOf(saga), reason }),
			);
			const updated_at = new Date().toISOString();
			const written = await write(
				sagasOf(compensations),
				statements.MARK_COMPENSATED,
				reasonsOf(compensations),
				data,
				updated_at,
			);
			events.wakeRelay("order.cancelled");
			return compensations.map(
				({ saga: { order }, reason: cancellation_reason }, i) =>
					written[i]! && {
						order: {
							...order,
							status: "cancelled",
							cancellation_reason,
							payment: null,
							updated_at,
						},
					},
			);
		},

		abort: (sagas) => write(sagas, statements.ABORT),

		markStuck: (compensations) =>
			write(sagasOf(compensations), statements.MARK_STUCK, reasonsOf(compensations)),

		recordFailures: (failures) =>
			write(
				failures.map(({ saga }) => saga),
				statements.RECORD_FAILURES,
				failures.map(({ step }) => step),
				failures.map(({ tries }) => tries),
				failures.map(({ error }) => error),
				failures.map(({ isLast }) => isLast),
				traceparentsOf(failures.map(({ saga }) => saga)),
			),

		async claim(limit, running) {
			const rows = await db.query<SagaRow>(statements.CLAIM, [
				owner,
				limit,
				running,
				leaseMs,
				claimBytes(),
			]);
			return rows.map((row) => toSaga(row, deadlineMs));
		},

		async heartbeat() {
			await db.query(statements.HEARTBEAT, [owner, leaseMs]);
		},

		async release() {
			await db.query(statements.RELEASE, [owner]);
		},
	};

	/** Inserts the orders that do not exist, after an insert has found that some do. */
	async function insertMissing(drafts: readonly OrderDraft[]): Promise<Set<string>> {
		const ids = drafts.map(({ saga }) => saga.id);
		const existing = await db.query<{ id: string }>(statements.EXISTING, [ids]);
		if (existing.length === 0) throw new Error(`Orders conflict with unknown rows: ${ids}`);
		const known = new Set(existing.map(({ id }) => id));
		const missing = drafts.filter(({ saga }) => !known.has(saga.id));
		return missing.length > 0 ? store.insert(missing) : new Set();
	}

	/** Parameters of the statement PLACE. */
	function insertValues(drafts: readonly OrderDraft[]): unknown[] {
		const orders = drafts.map(({ saga }) => saga.order);
		return [
			owner,
			orders.map(({ id }) => id),
			orders.map(({ user_id }) => user_id),
			orders.map(({ total_amount }) => total_amount),
			orders.map(({ currency }) => currency),
			orders.map(({ items }) => JSON.stringify(items)),
			drafts.map(({ saga }) => saga.payment_token),
			drafts.map(({ saga }) => saga.shipping_address),
			orders.map(({ created_at }) => created_at),
			drafts.map(({ saga }) => events.eventData("order.created", eventDataOf(saga))),
			drafts.map(({ keyed }) => keyed?.key),
			drafts.map(({ keyed }) => keyed?.hash),
			traceparentsOf(drafts.map(({ saga }) => saga)),
			drafts.map(({ keyed }) => keyed?.user_id),
			drafts.map(({ saga: { priced } }) => priced && JSON.stringify(priced)),
		];
	}

	const store = {
		...sagaStore,

		/**
		 * Inserts new orders, each with its lines, saga, `order.created` event and idempotency key.
		 * Returns the IDs of the inserted orders: an order that exists, and one whose key is already in
		 * use, is left out. The orders differ in their IDs.
		 */
		async insert(drafts: readonly OrderDraft[]): Promise<Set<string>> {
			const rows = await db.insertNew<{ id: string }>(statements.PLACE, insertValues(drafts));
			if (!rows) return insertMissing(drafts);
			events.wakeRelay("order.created");
			return new Set(rows.map(({ id }) => id));
		},

		/**
		 * Resumes the parked sagas of orders in the caller's transaction. Call `wake` after its commit.
		 */
		async resume(tx: Queryable, ids: readonly string[]): Promise<void> {
			await tx.query(statements.RESUME, [ids]);
		},

		/**
		 * Starts the cancellation of an order by this node and returns the saga to run; undefined if
		 * the order cannot be cancelled in its current state.
		 */
		async beginCancellation(id: string, reason: string): Promise<OrderSaga | undefined> {
			const [row] = await db.query<SagaRow>(statements.BEGIN_CANCELLATION, [
				owner,
				id,
				reason,
				currentTraceparent(),
			]);
			return row && toSaga(row, deadlineMs);
		},
	};
	return store;
}
export type OrderStore = ReturnType<typeof createOrderStore>;

const sagasOf = (compensations: readonly Compensation<OrderSaga>[]) =>
	compensations.map(({ saga }) => saga);
const reasonsOf = (compensations: readonly Compensation<OrderSaga>[]) =>
	compensations.map(({ reason }) => reason);

/** Members that all order events have, see also the statement ADVANCE. */
function eventDataOf({ order, priced }: OrderSaga) {
	const { id, user_id, email, total_amount, currency } = order;
	const data = { order_id: id, user_id, total_amount, currency };
	if (!priced) return data;
	const { subtotal, discount_amount, shipping_amount, tax_amount } = priced;
	const amounts = { subtotal, discount_amount, shipping_amount, tax_amount };
	return { ...data, ...amounts, ...(email ? { email } : {}) };
}

function toSaga(row: SagaRow, deadlineMs: number): OrderSaga {
	const { id, created_at, saga_resumed_at } = row;
	return {
		id,
		direction: row.saga_state === "backward" ? "backward" : "forward",
		attempt: row.saga_attempt,
		deadline: Date.parse(saga_resumed_at ?? created_at) + deadlineMs,
		...(row.saga_reason ? { reason: row.saga_reason } : {}),
		order: toStoredOrder(row),
		priced: row.priced,
		payment_token: row.payment_token,
		shipping_address: row.shipping_address,
		traceparent: row.traceparent,
	};
}
