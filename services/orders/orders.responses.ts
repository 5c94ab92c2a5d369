import { setTimeout as delay } from "node:timers/promises";
import { microBatch } from "../../lib/async/micro-batch.ts";
import { withTimeout } from "../../lib/async/with-timeout.ts";
import { isError, type Meta } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import {
	errorResponse,
	findKeys,
	type KeyedRequest,
	type KeyedResponse,
	replayResponse,
	type StoredResponse,
	storeResponses,
} from "../../lib/idempotency/idempotency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { toOrder } from "./orders.prices.rules.ts";
import { findOrder } from "./orders.queries.ts";
import { cancelledError, type Order } from "./orders.rules.ts";
import type { OrderSaga } from "./saga/steps.ts";
import type { OrderSagaOutcome } from "./saga/store.ts";

/** Stored responses by idempotency key. Concurrent calls share one statement. */
export const createResponseStore = (db: Database) => ({
	find: microBatch((requests: KeyedRequest[]) => findKeys(db, requests)),
	save: microBatch((responses: KeyedResponse[]) => storeResponses(db, responses)),
});
export type ResponseStore = ReturnType<typeof createResponseStore>;

/**
 * Returns the stored response of an earlier request with the same key.
 *
 * The scope of a key is the caller. Older versions stored the key of an order that an administrator
 * placed for a customer under the customer. Such a key counts if the body, which names the
 * customer, is the same. Keys expire after a day, so the next version no longer needs the second
 * lookup.
 */
export async function findEarlierOrder(
	responses: ResponseStore,
	request: KeyedRequest,
	buyer: string,
): Promise<StoredResponse | undefined> {
	const own = await responses.find(request);
	if (own || buyer === request.user_id) return own;
	return responses.find({ ...request, user_id: buyer }).catch((error) => {
		// The customer used the same key for another order.
		if (isError(error, "IDEMPOTENCY_KEY_REUSED")) return undefined;
		throw error;
	});
}

/**
 * Repeats the response of the first request with the same key. If a crash lost its response, the
 * order's row supplies it.
 * @throws IDEMPOTENCY_KEY_IN_USE, with the order's ID, while the order's saga runs
 */
export async function replayOrder(
	db: Database,
	meta: Meta,
	earlier: StoredResponse | undefined,
): Promise<Order> {
	if (earlier && earlier.status === null && earlier.subject) {
		const found = await findOrder(db, earlier.subject);
		if (found?.sagaState && found.sagaState !== "waiting")
			throw commonError("IDEMPOTENCY_KEY_IN_USE", { order_id: found.order.id });
		if (found)
			return replayResponse(meta, { subject: earlier.subject, ...responseOf(found.order) });
	}
	return replayResponse(meta, earlier ?? { subject: null, status: null, body: null });
}

const responseOf = (order: Order) =>
	order.status === "cancelled"
		? errorResponse(cancelledError(order, { reason: order.cancellation_reason ?? "" }))
		: { status: 201, body: order };

/** An order after its saga, or after the time limit of the wait. */
interface SettledOrder {
	readonly order: Order;
	/** Undefined if the saga still runs. */
	readonly outcome: OrderSagaOutcome | undefined;
}

/**
 * Waits up to `milliseconds` for the saga of an order. If another run has taken the saga over,
 * polls the order's row for the outcome.
 */
export async function settle(
	db: Database,
	saga: OrderSaga,
	running: Promise<OrderSagaOutcome>,
	milliseconds: number,
): Promise<SettledOrder> {
	const deadline = Date.now() + milliseconds;
	const outcome = await withTimeout(running, milliseconds);
	if (outcome?.status === "lost") return settleElsewhere(db, saga.id, deadline);
	const order = outcome && "order" in outcome ? outcome.order : saga.order;
	return { order: toOrder(order, saga), outcome };
}

/** Polls the row of an order until its saga, which another run executes, has an outcome. */
export async function settleElsewhere(
	db: Database,
	id: string,
	deadline: number,
): Promise<SettledOrder> {
	for (; ; await delay(50)) {
		const found = await findOrder(db, id);
		if (!found) throw new Error(`The order ${id} is missing`);
		const { order, sagaState } = found;
		if (sagaState === "waiting") return { order, outcome: { status: "waiting", order } };
		if (!sagaState) return { order, outcome: outcomeOf(order) };
		if (Date.now() >= deadline) return { order, outcome: undefined };
	}
}

/** Outcome of the saga of an order, according to its row. */
const outcomeOf = (order: Order): OrderSagaOutcome =>
	order.status === "cancelled"
		? { status: "closed", reason: order.cancellation_reason ?? "", order }
		: { status: "lost" };
