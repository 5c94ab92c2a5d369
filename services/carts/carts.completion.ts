import { setTimeout as pause } from "node:timers/promises";
import { microBatch } from "../../lib/async/micro-batch.ts";
import { currentTraceparent, type Traced } from "../../lib/context/traceparent.ts";

/** An order whose cart may be being completed. */
export interface OrderRef extends Traced {
	readonly order_id: string;
}

/** Milliseconds between two batches of carts for which no caller waits. */
const INTERVAL_MS = 250;
/** Carts of such a batch. A full batch is followed by the next one immediately. */
const MAX_BATCH = 500;

/**
 * Completes the carts of confirmed orders in batches: at once, or after the responses of their
 * checkouts.
 * @param completeAll completes the carts of several orders in one statement
 */
export function createCompletion(completeAll: (orders: readonly OrderRef[]) => Promise<void>) {
	const completeBatch = async (orders: OrderRef[]) => {
		await completeAll(orders);
		return orders;
	};
	const stopping = new AbortController();
	const completeNow = microBatch(completeBatch);
	const completeSoon = microBatch(completeBatch, {
		maxSize: MAX_BATCH,
		async afterEach({ length }) {
			if (length === MAX_BATCH) return;
			const { signal } = stopping;
			await pause(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
		},
	});
	/** Orders whose carts, by ID, are completed soon. */
	const waiting = new Map<string, { readonly order: OrderRef; readonly end: Promise<unknown> }>();
	const orderRef = (order_id: string): OrderRef => ({
		order_id,
		traceparent: currentTraceparent(),
	});

	return {
		/** Completes the cart of an order, with concurrent calls in one statement. */
		async complete(order_id: string): Promise<void> {
			await completeNow(orderRef(order_id));
		},

		/**
		 * Completes a cart for a caller that does not wait for it. Carts of the same interval share
		 * a statement.
		 */
		async completeSoon(id: string, order_id: string): Promise<void> {
			const order = orderRef(order_id);
			const end = completeSoon(order);
			waiting.set(id, { order, end });
			await end.finally(() => waiting.delete(id));
		},

		/** Completes a cart that is completed soon, before a request uses it. */
		async completeFirst(id: string): Promise<void> {
			const found = waiting.get(id);
			if (found) await completeNow(found.order);
		},

		/** Completes the carts that wait for it. */
		async stop(): Promise<void> {
			stopping.abort();
			await Promise.allSettled([...waiting.values()].map(({ end }) => end));
		},
	};
}
