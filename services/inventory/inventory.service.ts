import { type Poller, startPoller } from "../../lib/async/poller.ts";
import { traceparentsOf } from "../../lib/context/traceparent.ts";
import { callerOf, throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
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
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import type {} from "../orders/orders.contract.ts";
import { inventory, MAX_ON_HAND, type stock } from "./inventory.contract.ts";
import { expire } from "./inventory.expiry.ts";
import { allocate, type Line, mergeLines, type ReservationRequest } from "./inventory.rules.ts";
import * as statements from "./inventory.statements.ts";

type Stock = Infer<typeof stock>;
type StockAuditRow = Pick<Stock, "product_id" | "on_hand" | "reserved"> & { held: number };
type Status = "held" | "released" | "fulfilled";
type Row = { order_id: string; status: Status };
interface State {
	/** Lifetime of a reservation until the status of its order is checked. */
	readonly reservationSeconds: number;
	/** Undefined until the service has started. */
	expiry: Poller | undefined;
}

const MAX_EXPIRY_INTERVAL_MS = 10_000;
/** A reservation changes status at most twice, so three attempts always reach its final one. */
const MAX_RELEASE_ATTEMPTS = 3;

export default defineService(inventory)({
	mixins: [database, durableEvents, idempotency],

	created(): State {
		return { reservationSeconds: envOf(this.broker).RESERVATION_SECONDS, expiry: undefined };
	},

	methods: {
		/** Parameters of the statement RESERVE. */
		reservationColumns(requests: readonly ReservationRequest[]) {
			return [
				requests.map(({ order_id }) => order_id),
				requests.map(({ items }) => `{${items.map(({ product_id }) => product_id)}}`),
				requests.map(({ items }) => `{${items.map(({ quantity }) => quantity)}}`),
				requests.map(({ order_id, items }) =>
					this.eventData("inventory.reserved", { order_id, items: [...items] }),
				),
				traceparentsOf(requests),
				this.reservationSeconds,
			];
		},

		/** Reserves stock order by order, for a batch that does not fit as a whole. */
		reserveIndividually(requests: readonly ReservationRequest[]): Promise<Map<string, Outcome>> {
			return this.db.transaction(async (tx) => {
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
					await tx.query(statements.RESERVE, this.reservationColumns(granted));
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
		},

		/** Releases the stock of orders, with one outcome for each. */
		async releaseOrders(orders: readonly CommandOrder[]): Promise<Outcome[]> {
			const statusOf = new Map<string, Status>();
			let open = distinctOrders(orders);
			// Reservations that a concurrent transaction was changing are tried again.
			for (let attempt = 0; attempt < MAX_RELEASE_ATTEMPTS && open.length > 0; attempt++) {
				const closed = await this.db.query<Row>(statements.RELEASE, [
					orderIds(open),
					open.map(({ order_id }) => this.eventData("inventory.released", { order_id })),
					traceparentsOf(open),
				]);
				for (const { order_id, status } of closed) statusOf.set(order_id, status);
				open = open.filter(({ order_id }) => !statusOf.has(order_id));
			}
			this.wakeRelay();
			return orders.map(({ order_id }) => {
				const status = statusOf.get(order_id);
				if (!status) return pending;
				return status === "released" ? done : refused("FULFILLED");
			});
		},

		/** @throws STOCK_NOT_FOUND, STOCK_TOO_LOW, VALIDATION_ERROR */
		async changeOnHand(
			tx: Tx,
			product_id: string,
			reason: string,
			next: (onHand: number) => number,
		): Promise<Stock> {
			const [before] = await tx.query<Stock>(statements.LOCK_STOCK, [[product_id]]);
			if (!before) return throwError(inventory, "STOCK_NOT_FOUND");
			const on_hand = next(before.on_hand);
			if (on_hand < before.reserved) return throwError(inventory, "STOCK_TOO_LOW");
			if (on_hand > MAX_ON_HAND)
				throw invalidField("delta", "NUMBER_MAX", `Stock on hand cannot exceed ${MAX_ON_HAND}`);
			if (on_hand === before.on_hand) return before;
			const change = { product_id, delta: on_hand - before.on_hand, on_hand, reason };
			const values = [product_id, on_hand, change.delta, reason];
			const [after] = await tx.query<Stock>(statements.SET_ON_HAND, values);
			await this.publish(tx, "inventory.adjusted", product_id, change);
			return after!;
		},
	},

	actions: {
		async get({ params: { product_id } }) {
			const [found] = await this.db.query<Stock>(statements.FIND_STOCK, [product_id]);
			return found ?? throwError(inventory, "STOCK_NOT_FOUND");
		},

		async set({ params: { product_id, on_hand } }) {
			return this.db.transaction((tx) => this.changeOnHand(tx, product_id, "Set", () => on_hand));
		},

		async adjust(ctx) {
			const { product_id, delta, reason } = ctx.params;
			return executeOnce(this.db, ctx, 201, (tx) =>
				this.changeOnHand(tx, product_id, reason, (onHand) => onHand + delta),
			);
		},

		async open({ params: { product_id, on_hand } }) {
			await this.db.query(statements.OPEN, [product_id, on_hand]);
			const [found] = await this.db.query<Stock>(statements.FIND_STOCK, [product_id]);
			return found!;
		},

		async reserve({ params: { orders } }) {
			const requests = distinctOrders(orders).map((order) => ({
				...order,
				items: mergeLines(order.items),
			}));
			const totals = mergeLines(requests.flatMap(({ items }) => items));
			const columns = this.reservationColumns(requests);
			const inserted = await this.db.insertNew<{ fits: boolean }>(statements.RESERVE_NEW, [
				totals.map(({ product_id }) => product_id),
				totals.map(({ quantity }) => quantity),
				...columns,
			]);
			if (inserted?.[0]?.fits) {
				this.wakeRelay();
				return orders.map(() => done);
			}
			// If nothing was inserted, some of the orders already have a reservation or tombstone.
			const statusOf = inserted
				? new Map<string, Status>()
				: statusByOrder(await this.db.query<Row>(statements.RESERVE, columns));
			const open = requests.filter(({ order_id }) => !statusOf.has(order_id));
			const outcomes = open.length > 0 ? await this.reserveIndividually(open) : undefined;
			this.wakeRelay();
			return orders.map(
				({ order_id }) => outcomes?.get(order_id) ?? reservationOutcome(statusOf.get(order_id)),
			);
		},

		async release({ params: { orders } }) {
			return this.releaseOrders(orders);
		},

		async auditStock({ params: { after, limit } }) {
			return this.db.query<StockAuditRow>(statements.AUDIT_STOCK, [after, limit]);
		},

		async auditReservations({ params: { after, upto, limit } }) {
			return this.db.query<Row & { items: Line[] }>(statements.AUDIT_RESERVATIONS, [
				after,
				upto,
				limit,
			]);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},

	subscriptions: {
		async "order.shipped"(tx, events) {
			const orders = distinctOrders(events.map(({ data }) => data));
			await tx.query(statements.FULFILL, [orderIds(orders)]);
		},
	},

	started() {
		const { db, logger, reservationSeconds: seconds } = this;
		const call = callerOf(this);
		this.expiry = startPoller({
			intervalMs: Math.min(seconds * 1000, MAX_EXPIRY_INTERVAL_MS),
			poll: () => expire({ db, call, seconds, release: (orders) => this.releaseOrders(orders) }),
			onError: (error) =>
				logger.warn("Expired reservations could not be checked; will retry", { error }),
		});
	},

	async stopped() {
		await this.expiry?.stop();
	},
});

const findReservations = async (tx: Tx, orders: readonly CommandOrder[]) =>
	statusByOrder(await tx.query<Row>(statements.FIND_RESERVATIONS, [orderIds(orders)]));

/** The outcome of `reserve`. Pending: a concurrent transaction is changing the reservation. */
function reservationOutcome(status: Status | undefined): Outcome {
	if (!status) return pending;
	return status === "released" ? refused("RELEASED") : done;
}
