import { startPoller } from "../../lib/async/poller.ts";
import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { callerOf, implement, type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database, type HasDatabase } from "../../mixins/database.mixin.ts";
import { durableEvents, type HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import type {} from "../orders/orders.contract.ts";
import { inventory, MAX_ON_HAND, type stock } from "./inventory.contract.ts";
import { expire } from "./inventory.expiry.ts";
import { allocate, type Line, mergeLines, type ReservationRequest } from "./inventory.rules.ts";
import {
	AUDIT_RESERVATIONS,
	AUDIT_STOCK,
	CHANGE,
	FIND_RESERVATIONS,
	FIND_STOCK,
	FULFIL,
	LOCK_STOCK,
	OPEN,
	RELEASE,
	RESERVE,
	RESERVE_NEW,
} from "./inventory.statements.ts";

type Stock = Infer<typeof stock>;
type Standing = { order_id: string; status: "held" | "released" | "fulfilled" };
const EXPIRY_EVERY = 10_000;

type StockLook = Pick<Stock, "product_id" | "on_hand" | "reserved"> & { held: number };
type Self = ServiceThis & HasDatabase & HasDurableEvents;

const statuses = (rows: Standing[]) =>
	new Map(rows.map(({ order_id, status }) => [order_id, status]));
type Order = Traced & { readonly order_id: string };
const distinct = <O extends Order>(orders: readonly O[]): O[] => [
	...new Map(orders.map((order) => [order.order_id, order])).values(),
];
const ids = (orders: readonly Order[]) => distinct(orders).map(({ order_id }) => order_id);

export default implement(inventory, database, durableEvents, idempotency).with({
	subscriptions: { "order.shipped": fulfil },
	setup() {
		const seconds = envOf(this.broker).RESERVATION_SECONDS;
		const call = callerOf(this);
		return {
			expiring: startPoller({
				intervalMs: Math.min(seconds * 1000, EXPIRY_EVERY),
				poll: () =>
					expire({ db: this.db, call, seconds, release: (orders) => release(this, orders) }),
				onError: (error) =>
					this.logger.warn("What holds stock for long could not be looked into and will be again", {
						error,
					}),
			}),
		};
	},
	stop() {
		return this.expiring?.stop();
	},

	actions: {
		async get({ params: { product_id } }) {
			const [found] = await this.db.query<Stock>(FIND_STOCK, [product_id]);
			return found ?? throwError(inventory, "STOCK_NOT_FOUND");
		},

		async set({ params: { product_id, on_hand } }) {
			return this.db.transaction((tx) => change(this, tx, product_id, "Set", () => on_hand));
		},

		async adjust(ctx) {
			const { product_id, delta, reason } = ctx.params;
			return executeOnce(this.db, ctx, 201, (tx) =>
				change(this, tx, product_id, reason, (before) => before + delta),
			);
		},

		async open({ params: { product_id, on_hand } }) {
			await this.db.query(OPEN, [product_id, on_hand]);
			const [found] = await this.db.query<Stock>(FIND_STOCK, [product_id]);
			return found!;
		},

		async reserve({ params: { orders } }) {
			const wishes = distinct(orders).map((order) => ({
				...order,
				items: mergeLines(order.items),
			}));
			const values = reservations(this, wishes);
			const wanted = mergeLines(wishes.flatMap(({ items }) => items));
			const totals = [
				wanted.map(({ product_id }) => product_id),
				wanted.map(({ quantity }) => quantity),
			];
			const [verdict] =
				(await this.db.insertNew<{ fits: boolean }>(RESERVE_NEW, [...totals, ...values])) ?? [];
			if (verdict?.fits) {
				this.wakeRelay();
				return orders.map(() => done);
			}
			const standing = verdict
				? new Map()
				: statuses(await this.db.query<Standing>(RESERVE, values));
			const open = wishes.filter(({ order_id }) => !standing.has(order_id));
			const rest = open.length > 0 ? await reserveWhatFits(this, open) : new Map<string, Outcome>();
			this.wakeRelay();
			return orders.map(({ order_id }) => rest.get(order_id) ?? reserved(standing.get(order_id)));
		},

		async release({ params: { orders } }) {
			return release(this, orders);
		},

		async auditStock({ params: { after, limit } }) {
			return this.db.query<StockLook>(AUDIT_STOCK, [after, limit]);
		},

		async auditReservations({ params: { after, upto, limit } }) {
			return this.db.query<Standing & { items: Line[] }>(AUDIT_RESERVATIONS, [after, upto, limit]);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},
});

function reserved(status: Standing["status"] | undefined): Outcome {
	if (!status) return pending;
	return status === "released" ? refused("RELEASED") : done;
}

async function release(self: Self, orders: readonly Order[]): Promise<Outcome[]> {
	const standing = new Map<string, Standing["status"]>();
	let open = distinct(orders);
	// What another statement is changing is looked at again; nothing changes more than twice, from nothing to held to its end.
	for (let look = 0; look < 3 && open.length > 0; look++) {
		const facts = open.map(({ order_id }) => self.eventData("inventory.released", { order_id }));
		const closed = await self.db.query<Standing>(RELEASE, [ids(open), facts, traceparentsOf(open)]);
		for (const { order_id, status } of closed) standing.set(order_id, status);
		open = open.filter(({ order_id }) => !standing.has(order_id));
	}
	self.wakeRelay();
	return orders.map(({ order_id }) => {
		const status = standing.get(order_id);
		if (!status) return pending;
		return status === "released" ? done : refused("FULFILLED");
	});
}

/** The parameters of RESERVE. */
const reservations = (self: Self, wishes: readonly ReservationRequest[]) => [
	wishes.map(({ order_id }) => order_id),
	wishes.map(({ items }) => `{${items.map(({ product_id }) => product_id)}}`),
	wishes.map(({ items }) => `{${items.map(({ quantity }) => quantity)}}`),
	wishes.map(({ order_id, items }) =>
		self.eventData("inventory.reserved", { order_id, items: [...items] }),
	),
	traceparentsOf(wishes),
	envOf(self.broker).RESERVATION_SECONDS,
];

/** The long way, for when there is not enough for everybody: one at a time, on locked stock. */
function reserveWhatFits(
	self: Self,
	wishes: readonly ReservationRequest[],
): Promise<Map<string, Outcome>> {
	return self.db.transaction(async (tx) => {
		const products = new Set(
			wishes.flatMap(({ items }) => items.map(({ product_id }) => product_id)),
		);
		const stocks = await tx.query<Stock>(LOCK_STOCK, [[...products]]);
		// Read after the lock, which whoever else reserves one of these orders needs too.
		const look = async () => statuses(await tx.query<Standing>(FIND_RESERVATIONS, [ids(wishes)]));
		let standing = await look();
		const open = wishes.filter(({ order_id }) => !standing.has(order_id));
		const { granted, short } = allocate(
			open,
			new Map(stocks.map(({ product_id, available }) => [product_id, available])),
		);
		if (granted.length > 0) {
			await tx.query(RESERVE, reservations(self, granted));
			// Again, because a tombstone needs no stock and may have been faster.
			standing = await look();
		}
		return new Map(
			wishes.map(({ order_id }) => {
				const missing = short.get(order_id);
				return [
					order_id,
					missing
						? refused("OUT_OF_STOCK", missing.product_id, missing)
						: reserved(standing.get(order_id)),
				];
			}),
		);
	});
}

/** What was shipped has left the house. */
async function fulfil(tx: Tx, shipped: EventOf<"order.shipped">[]): Promise<void> {
	await tx.query(FULFIL, [ids(shipped.map(({ data }) => data))]);
}

async function change(
	self: Self,
	tx: Tx,
	product_id: string,
	reason: string,
	next: (onHand: number) => number,
): Promise<Stock> {
	const [before] = await tx.query<Stock>(LOCK_STOCK, [[product_id]]);
	if (!before) return throwError(inventory, "STOCK_NOT_FOUND");
	const on_hand = next(before.on_hand);
	if (on_hand < before.reserved) return throwError(inventory, "STOCK_TOO_LOW");
	if (on_hand > MAX_ON_HAND)
		throw invalidField("delta", "NUMBER_MAX", `On hand cannot be more than ${MAX_ON_HAND}`);
	if (on_hand === before.on_hand) return before;
	const delta = on_hand - before.on_hand;
	const [after] = await tx.query<Stock>(CHANGE, [product_id, on_hand, delta, reason]);
	await self.publish(tx, "inventory.adjusted", product_id, { product_id, delta, on_hand, reason });
	return after!;
}
