import { runAfterCall } from "../../lib/context/call-context.ts";
import type { Call, EventData } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Event } from "../../lib/contracts/event.ts";
import type { Value } from "../../lib/contracts/schema.ts";
import type { Database, Tx } from "../../lib/persistence/database.ts";
import { isRefusal, isUnavailable } from "../../lib/resilience/outages.ts";
import type { orders } from "../orders/orders.contract.ts";
import { reopenCart, reopenIn } from "./carts.merging.ts";
import type { PlaceRequest, StoredCart } from "./carts.rules.ts";
import * as statements from "./carts.statements.ts";
import type { CartStore } from "./carts.store.ts";

export type Order = Value<typeof orders.actions.place.returns>;
type Outcome = Value<typeof orders.actions.outcomes.returns>[number];
export type Settlement = ReturnType<typeof createSettlement>;

interface Dependencies {
	readonly db: Database;
	readonly store: CartStore;
	wakeRelay(): void;
	/** Receives a failure after which the poller tries again. */
	onError(error: unknown, order_id: string): void;
}
/** A cart whose checkout has not finished in time. */
interface Unsettled {
	readonly id: string;
	readonly order_id: string;
	readonly request: PlaceRequest;
}
/** Number of unfinished checkouts that one poll handles. */
const BATCH_SIZE = 20;

/**
 * Moves the carts of orders to their final status: `completed` if the order was confirmed, `open`
 * if it was cancelled. The checkout, reads, the event of a cancellation and a poller do this, in
 * any order and number.
 */
export function createSettlement({ db, store, wakeRelay, onError }: Dependencies) {
	const reopen = (order_id: string, reason: string) =>
		reopenCart({ db, store }, order_id, reason).catch((error) => onError(error, order_id));

	/**
	 * Places the order of a cart, or waits for it, and settles the cart if the order is decided:
	 * opens it before the error is thrown, or completes it after the order is returned.
	 * @throws the errors of `orders.place`, after which the cart is open again; or an outage or
	 *   SERVICE_UNAVAILABLE, after which the outcome is unknown
	 */
	async function place(call: Call, id: string, request: PlaceRequest): Promise<Order> {
		const { order_id } = request;
		let order: Order;
		try {
			order = await call("orders.place", request);
		} catch (error) {
			if (isRefusal(error)) {
				await assertNotPlaced(call, order_id, error);
				await reopen(order_id, reasonOf(error));
			}
			throw error;
		}
		if (order.status !== "pending")
			runAfterCall(() =>
				store.completeSoon(id, order_id).catch((error) => onError(error, order_id)),
			);
		return order;
	}

	/** Opens the cart of a cancelled order, which returns its reason when it is placed again. */
	async function reopenCancelled(call: Call, request: PlaceRequest): Promise<boolean> {
		try {
			await call("orders.place", request);
			return false;
		} catch (error) {
			if (!isRefusal(error)) throw error;
			await reopenCart({ db, store }, request.order_id, reasonOf(error));
			return true;
		}
	}

	return {
		place,

		/**
		 * Settles the cart of a decided order before it is read. An event would do the same, but every
		 * order of the shop publishes `order.confirmed`, and few carts wait for it.
		 * @returns whether the cart may have changed
		 */
		async settleRead(
			call: Call,
			{ order_id, request }: Pick<StoredCart, "order_id" | "request">,
		): Promise<boolean> {
			try {
				const [outcome] = await call("orders.outcomes", { order_ids: [order_id!] });
				if (outcome === "cancelled") return await reopenCancelled(call, request!);
				if (outcome === "confirmed") await store.complete(order_id!);
				return outcome === "confirmed";
			} catch (error) {
				// The cart can be read without the order.
				if (isUnavailable(error)) return false;
				throw error;
			}
		},

		/**
		 * Settles carts whose checkout has not finished in time: its node has died, the orders service
		 * was down, or the buyer has to confirm the payment.
		 * @returns true if more may be due, false after an attempt, or otherwise the milliseconds until
		 * the next cart is due
		 */
		async settleDue(call: Call): Promise<boolean | number> {
			const due = await db.query<Unsettled>(statements.CLAIM_UNSETTLED, [BATCH_SIZE]);
			if (due.length === 0) {
				const [next] = await db.query<{ wait: number | null }>(statements.NEXT_UNSETTLED);
				return next?.wait ?? Number.POSITIVE_INFINITY;
			}
			const outcomes = await call("orders.outcomes", { order_ids: due.map((one) => one.order_id) });
			const confirmed = due.filter((_, i) => outcomes[i] === "confirmed");
			if (confirmed.length > 0) {
				await store.completeAll(db, confirmed);
				wakeRelay();
			}
			// An unknown order was not placed; a cancelled one returns its reason.
			const others = due.filter((_, i) => !isPlaced(outcomes[i]!));
			await Promise.all(
				others.map(({ id, order_id, request }) =>
					place(call, id, request).catch((error) => {
						if (!isRefusal(error)) onError(error, order_id);
					}),
				),
			);
			return due.length === BATCH_SIZE;
		},

		/** Opens the carts of orders that were cancelled instead of confirmed. */
		async followCancelled(tx: Tx, events: readonly Event[]): Promise<void> {
			const reasons = new Map(
				events.map(({ subject, data }) => [subject, (data as EventData<"order.cancelled">).reason]),
			);
			const found = await store.findCompleting(tx, [...reasons.keys()]);
			for (const { order_id } of found) await reopenIn(store, tx, order_id, reasons.get(order_id)!);
		},
	};
}

const isPlaced = (outcome: Outcome): boolean => outcome === "open" || outcome === "confirmed";

/**
 * Asserts that a refused order does not exist or was cancelled. A refusal that names the order
 * follows its cancellation. Any other one, such as that of a node with a stricter contract, says
 * nothing about the order, which an earlier call with a lost response may have placed.
 * @throws SERVICE_UNAVAILABLE if the order is placed; an outage of `orders.outcomes`
 */
async function assertNotPlaced(call: Call, order_id: string, refusal: unknown): Promise<void> {
	if ((refusal as Failure).data?.order_id === order_id) return;
	const [outcome] = await call("orders.outcomes", { order_ids: [order_id] });
	if (isPlaced(outcome!)) throw commonError("SERVICE_UNAVAILABLE");
}

interface Failure {
	readonly type?: string;
	readonly data?: { readonly order_id?: string; readonly reason?: string };
}
/** The reason as the order states it: a code, or the text of a person. */
function reasonOf(error: unknown): string {
	const { type = "ORDER_CANCELLED", data } = error as Failure;
	return type === "ORDER_CANCELLED" ? (data?.reason ?? type) : type;
}
