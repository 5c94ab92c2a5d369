import { traceparentsOf } from "../../lib/context/traceparent.ts";
import {
	type CommandOrder,
	distinctOrders,
	done,
	type Outcome,
	orderIds,
	pending,
	refused,
	statusByOrder,
} from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import type { ReservationRef } from "../../lib/saga/expiry.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import type { stock } from "./inventory.contract.ts";
import { RESERVATIONS } from "./inventory.expiry.ts";
import { allocate, type Line, mergeLines, type ReservationRequest } from "./inventory.rules.ts";
import * as statements from "./inventory.statements.ts";

interface Dependencies extends HasDatabase, Pick<HasDurableEvents, "eventData" | "wakeRelay"> {
	/** Lifetime of a reservation until the status of its order is checked. */
	readonly seconds: number;
}
type Stock = Infer<typeof stock>;
export type Status = "held" | "released" | "fulfilled";
type Row = { order_id: string; status: Status };

/** A reservation changes status at most twice, so three attempts always reach its final one. */
const MAX_RELEASE_ATTEMPTS = 3;

/** Reserves and releases the stock of orders, with one outcome for each. */
export function createReservations({ db, eventData, wakeRelay, seconds }: Dependencies) {
	/** Tries the whole batch in one statement, and order by order if the stock is insufficient. */
	async function reserve(
		orders: readonly (CommandOrder & { readonly items: readonly Line[] })[],
	): Promise<Outcome[]> {
		const requests = distinctOrders(orders).map((order) => ({
			...order,
			items: mergeLines(order.items),
		}));
		const totals = mergeLines(requests.flatMap(({ items }) => items));
		const columns = reservationColumns(requests);
		const inserted = await db.insertNew<{ fits: boolean }>(statements.RESERVE_NEW, [
			totals.map(({ product_id }) => product_id),
			totals.map(({ quantity }) => quantity),
			...columns,
		]);
		if (inserted?.[0]?.fits) {
			wakeRelay();
			return orders.map(() => done);
		}
		// If nothing was inserted, some of the orders already have a reservation or tombstone.
		const statusOf = inserted ? new Map<string, Status>() : await reserveSomeExist(columns);
		const open = requests.filter(({ order_id }) => !statusOf.has(order_id));
		const outcomes = open.length > 0 ? await reserveIndividually(open) : undefined;
		wakeRelay();
		return orders.map(
			({ order_id }) => outcomes?.get(order_id) ?? reservationOutcome(statusOf.get(order_id)),
		);
	}

	/** Reserves the stock of new orders, and renews the reservations of the others. */
	async function reserveSomeExist(columns: readonly unknown[]): Promise<Map<string, Status>> {
		const statusOf = statusByOrder(await db.query<Row>(statements.RESERVE, columns));
		const held = [...statusOf].flatMap(([id, status]) => (status === "held" ? [id] : []));
		const renewed = await db.query<Row>(RESERVATIONS.renew, [held, seconds]);
		return new Map([...statusOf, ...statusByOrder(renewed)]);
	}

	/** Reserves stock order by order, on locked stock. */
	function reserveIndividually(
		requests: readonly ReservationRequest[],
	): Promise<Map<string, Outcome>> {
		return db.transaction(async (tx) => {
			const products = new Set(
				requests.flatMap(({ items }) => items.map(({ product_id }) => product_id)),
			);
			const stocks = await tx.query<Stock>(statements.LOCK_STOCK, [[...products]]);
			// The lock comes first: a concurrent reservation of these orders needs it too.
			let statusOf = await findReservations(tx, requests);
			const { granted, short } = allocate(
				requests.filter(({ order_id }) => !statusOf.has(order_id)),
				new Map(stocks.map(({ product_id, available }) => [product_id, available])),
			);
			if (granted.length > 0) {
				await tx.query(statements.RESERVE, reservationColumns(granted));
				// A tombstone needs no stock lock, so one may have been inserted meanwhile.
				statusOf = await findReservations(tx, requests);
			}
			return new Map(
				requests.map(({ order_id }) => {
					const shortage = short.get(order_id);
					const outcome = shortage
						? refused("OUT_OF_STOCK", shortage.product_id, shortage)
						: reservationOutcome(statusOf.get(order_id));
					return [order_id, outcome];
				}),
			);
		});
	}

	async function release(orders: readonly (CommandOrder & ReservationRef)[]): Promise<Outcome[]> {
		const statusOf = new Map<string, Status>();
		let open = distinctOrders(orders);
		// Reservations that a concurrent transaction was changing are tried again.
		for (let attempt = 0; attempt < MAX_RELEASE_ATTEMPTS && open.length > 0; attempt++) {
			const closed = await db.query<Row>(statements.RELEASE, [
				orderIds(open),
				open.map(({ order_id }) => eventData("inventory.released", { order_id })),
				traceparentsOf(open),
				open.map(({ expires_at = null }) => expires_at),
			]);
			for (const { order_id, status } of closed) statusOf.set(order_id, status);
			open = open.filter(({ order_id }) => !statusOf.has(order_id));
		}
		wakeRelay();
		return orders.map(({ order_id }) => {
			const status = statusOf.get(order_id);
			if (!status) return pending;
			return status === "released" ? done : refused("FULFILLED");
		});
	}

	/** Parameters of the statement RESERVE. */
	const reservationColumns = (requests: readonly ReservationRequest[]) => [
		requests.map(({ order_id }) => order_id),
		requests.map(({ items }) => `{${items.map(({ product_id }) => product_id)}}`),
		requests.map(({ items }) => `{${items.map(({ quantity }) => quantity)}}`),
		requests.map(({ order_id, items }) =>
			eventData("inventory.reserved", { order_id, items: [...items] }),
		),
		traceparentsOf(requests),
		seconds,
	];

	return { reserve, release };
}

const findReservations = async (tx: Tx, orders: readonly CommandOrder[]) =>
	statusByOrder(await tx.query<Row>(statements.FIND_RESERVATIONS, [orderIds(orders)]));

/** The outcome of a reservation. Pending: a concurrent transaction is changing it. */
function reservationOutcome(status: Status | undefined): Outcome {
	if (!status) return pending;
	return status === "released" ? refused("RELEASED") : done;
}
