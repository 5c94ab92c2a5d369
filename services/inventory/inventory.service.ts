import { pollerGroup } from "../../lib/async/poller.ts";
import { callerOf, throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import { distinctOrders, orderIds } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { alignBy } from "../../lib/persistence/align-rows.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import type {} from "../orders/orders.contract.ts";
import { inventory, MAX_ON_HAND, type stock } from "./inventory.contract.ts";
import { expire } from "./inventory.expiry.ts";
import { createReservations, type Status } from "./inventory.reservations.ts";
import type { Line } from "./inventory.rules.ts";
import * as statements from "./inventory.statements.ts";

type Stock = Infer<typeof stock>;
type StockAuditRow = Pick<Stock, "product_id" | "on_hand" | "reserved"> & { held: number };
type ReservationAuditRow = {
	order_id: string;
	status: Status;
	expires_at: string | null;
	items: Line[];
};

const MAX_EXPIRY_INTERVAL_MS = 10_000;

export default defineService(inventory)({
	mixins: [database, durableEvents, idempotency],

	created() {
		const { db, eventData, wakeRelay } = this;
		const seconds = envOf(this.broker).RESERVATION_SECONDS;
		return {
			reservations: createReservations({ db, eventData, wakeRelay, seconds }),
			reservationSeconds: seconds,
			pollers: pollerGroup(),
		};
	},

	methods: {
		/** Stock in the order of the IDs, with null for a product without a record. */
		async findStocks(product_ids: string[]): Promise<(Stock | null)[]> {
			const found = await this.db.query<Stock>(statements.FIND_STOCKS, [product_ids]);
			return alignBy(product_ids, found, ({ product_id }) => product_id);
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

		async list({ params: { product_ids } }) {
			const ids = [...new Set(product_ids.toLowerCase().split(","))];
			return (await this.findStocks(ids)).filter((one) => one !== null);
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

		async openMany({ params: { products } }) {
			const ids = products.map(({ product_id }) => product_id);
			const quantities = products.map(({ on_hand }) => on_hand);
			await this.db.query(statements.OPEN_MANY, [ids, quantities]);
			return null;
		},

		async resolve({ params: { product_ids } }) {
			return this.findStocks(product_ids);
		},

		reserve({ params: { orders } }) {
			return this.reservations.reserve(orders);
		},

		release({ params: { orders } }) {
			return this.reservations.release(orders);
		},

		async auditStock({ params: { after, limit } }) {
			return this.db.query<StockAuditRow>(statements.AUDIT_STOCK, [after, limit]);
		},

		async auditReservations({ params: { after, upto, limit } }) {
			const values = [after, upto, limit];
			return this.db.query<ReservationAuditRow>(statements.AUDIT_RESERVATIONS, values);
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
		const { db, logger, reservations, reservationSeconds: seconds } = this;
		const call = callerOf(this);
		this.pollers.start({
			intervalMs: Math.min(seconds * 1000, MAX_EXPIRY_INTERVAL_MS),
			poll: () => expire({ db, call, seconds, release: reservations.release }),
			onError: (error) =>
				logger.warn("Expired reservations could not be checked; will retry", { error }),
		});
	},

	async stopped() {
		await this.pollers.stop();
	},
});
