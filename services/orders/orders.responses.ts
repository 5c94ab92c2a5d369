import { setTimeout as after } from "node:timers/promises";
import { withTimeout } from "../../lib/async/with-timeout.ts";
import { isError, type Meta } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import {
	errorResponse,
	type KeyedRequest,
	replayResponse,
	type StoredResponse,
} from "../../lib/idempotency/idempotency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type { SagaOutcome } from "../../lib/saga/saga.ts";
import { cancelledError, type Order } from "./orders.rules.ts";
import type { OrderSaga } from "./saga/steps.ts";
import * as store from "./saga/store.ts";

/**
 * Returns the stored response of an earlier request with the same key.
 *
 * The scope of a key is the caller. Older versions stored the key of an order that an administrator
 * placed for a customer under the customer. Such a key counts if the body, which names the customer,
 * is the same. Keys expire after a day, so the next version no longer needs the second lookup.
 */
export async function findEarlierOrder(
	findKey: (request: KeyedRequest) => Promise<StoredResponse | undefined>,
	request: KeyedRequest,
	buyer: string,
): Promise<StoredResponse | undefined> {
	const own = await findKey(request);
	if (own || buyer === request.user_id) return own;
	return findKey({ ...request, user_id: buyer }).catch((error) => {
		// The customer's own key, for another order.
		if (isError(error, "IDEMPOTENCY_KEY_REUSED")) return undefined;
		throw error;
	});
}

/**
 * Responds as the first request with the same key did. If a crash lost its response, the order's row supplies it.
 * @throws IDEMPOTENCY_KEY_IN_USE, with the order's id, while the order's saga runs
 */
export async function replayOrder(
	db: Database,
	meta: Meta,
	earlier: StoredResponse | undefined,
): Promise<Order> {
	if (earlier && earlier.status === null && earlier.subject) {
		const found = await store.find(db, earlier.subject);
		if (found?.state) throw commonError("IDEMPOTENCY_KEY_IN_USE", { order_id: found.order.id });
		if (found) {
			const { order } = found;
			const answer =
				order.status === "cancelled"
					? errorResponse(cancelledError(order, { reason: order.cancellation_reason ?? "" }))
					: { status: 201, body: order };
			return replayResponse(meta, { subject: order.id, ...answer });
		}
	}
	return replayResponse(meta, earlier ?? { subject: null, status: null, body: null });
}

/**
 * How an order's saga ends, if it does within `milliseconds`. When another run has taken it over, the order's row tells; `saga.order` is
 * up to date in every case.
 */
export async function settle(
	db: Database,
	saga: OrderSaga,
	running: Promise<SagaOutcome>,
	milliseconds: number,
): Promise<SagaOutcome | undefined> {
	const late = Date.now() + milliseconds;
	const end = await withTimeout(running, milliseconds);
	if (end?.status !== "lost") return end;
	while (Date.now() < late) {
		const found = await store.find(db, saga.id);
		Object.assign(saga.order, found?.order);
		if (!found?.state)
			return saga.order.status === "cancelled"
				? { status: "closed", reason: saga.order.cancellation_reason ?? "" }
				: end;
		await after(50);
	}
	return undefined;
}
