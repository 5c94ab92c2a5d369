import { keyedQueue } from "../../lib/async/keyed-queue.ts";
import { pollerGroup } from "../../lib/async/poller.ts";
import { callerOf } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import { isCurrency } from "../../lib/money/currency.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { digest, makeShortToken } from "../../lib/security/secret-token.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { accessibleCart, readCart, removeCart, setLine, updateCart } from "./carts.changes.ts";
import { checkOut } from "./carts.checkout.ts";
import { carts } from "./carts.contract.ts";
import { createEvaluator } from "./carts.evaluation.ts";
import { mergeIntoAccount } from "./carts.merging.ts";
import { previewCart } from "./carts.preview.ts";
import * as rules from "./carts.rules.ts";
import { createSettlement } from "./carts.settlement.ts";
import { DELETE_EXPIRED } from "./carts.statements.ts";
import { createCartStore } from "./carts.store.ts";

const SETTLE_INTERVAL_MS = 1000;
const MAX_SETTLE_IDLE_MS = 5000;
/** Time that a checkout needs beside the wait for its order, before another node takes over. */
const SETTLE_MARGIN_MS = 2000;
/** Changes of a cart that wait on a node because others have changed it in the meantime. */
const MAX_WAITING_CHANGES = 100;
const EXPIRY_INTERVAL_MS = 60_000;
const EXPIRY_BATCH_SIZE = 500;

export default defineService(carts)({
	mixins: [database, durableEvents, idempotency],
	dependencies: ["products", "orders", "tax", "shipping"],

	created() {
		const { broker, db, logger } = this;
		const { ROUNDING, CART_TTL_DAYS, ORDER_WAIT_MS, JWT_SECRET } = envOf(broker);
		if (!JWT_SECRET)
			throw new StartError(
				"JWT_SECRET is not set: carts derives the tokens of guests' orders from it",
			);
		const wakeRelay = () => this.wakeRelay("cart.completed");
		const store = createCartStore({
			db,
			days: CART_TTL_DAYS,
			settleSeconds: (ORDER_WAIT_MS + SETTLE_MARGIN_MS) / 1000,
			wakeRelay,
		});
		return {
			store,
			evaluator: createEvaluator({ broker, call: callerOf(this), rounding: ROUNDING }),
			settlement: createSettlement({
				db,
				store,
				wakeRelay,
				onError: (error, order_id) =>
					logger.warn("A checkout could not be finished; will retry", { order_id, error }),
			}),
			repeatInTurn: keyedQueue({
				limit: MAX_WAITING_CHANGES,
				full: () => commonError("SERVICE_UNAVAILABLE"),
				expired: () => commonError("SERVICE_UNAVAILABLE"),
			}),
			tokenSecret: JWT_SECRET,
			// Not longer than the time after which a new checkout is due.
			settleIdleMs: Math.min(MAX_SETTLE_IDLE_MS, ORDER_WAIT_MS + SETTLE_MARGIN_MS),
			pollers: pollerGroup(),
		};
	},

	actions: {
		async create(ctx) {
			const { currency = null } = ctx.params;
			if (currency !== null && !isCurrency(currency))
				throw invalidField("currency", "CURRENCY", "Enter an ISO 4217 code, such as EUR");
			const { user } = ctx.meta;
			if (user) return readCart(this, ctx, await this.store.openFor(user.id, currency));
			const token = makeShortToken();
			const cart = await this.store.createForGuest(digest(token), currency);
			return { ...(await readCart(this, ctx, cart)), token };
		},

		preview({ params }) {
			return previewCart(this.evaluator, params);
		},

		async get(ctx) {
			return readCart(this, ctx, await accessibleCart(this, ctx.params.id, ctx));
		},

		setLine(ctx) {
			return setLine(this, ctx);
		},

		update(ctx) {
			return updateCart(this, ctx);
		},

		async claim(ctx) {
			const { token } = ctx.meta;
			const user = ctx.meta.user!;
			// An administrator may change any cart, but not own it.
			const credentials = { user: { ...user, role: "user" as const }, ...(token ? { token } : {}) };
			const id = await mergeIntoAccount(this, ctx.params.id, user.id, (cart) => {
				rules.assertAccess(cart, credentials);
				if (!cart.merged_into) rules.assertOpen(cart);
			});
			return readCart(this, ctx, await accessibleCart(this, id, ctx));
		},

		checkout(ctx) {
			return checkOut(this, ctx);
		},

		remove(ctx) {
			return removeCart(this, ctx);
		},
	},

	subscriptions: {
		"order.cancelled"(tx, events) {
			return this.settlement.followCancelled(tx, events);
		},
	},

	started() {
		const { db, logger, settlement } = this;
		const call = callerOf(this);
		this.pollers.start({
			intervalMs: SETTLE_INTERVAL_MS,
			idleMs: this.settleIdleMs,
			poll: () => settlement.settleDue(call),
			onError: (error) =>
				logger.warn("Unfinished checkouts could not be settled; will retry", { error }),
		});
		this.pollers.start({
			intervalMs: EXPIRY_INTERVAL_MS,
			poll: async () =>
				(await db.query(DELETE_EXPIRED, [EXPIRY_BATCH_SIZE])).length === EXPIRY_BATCH_SIZE,
			onError: (error) => logger.warn("Expired carts could not be deleted; will retry", { error }),
		});
	},

	async stopped() {
		await Promise.all([this.pollers.stop(), this.store.stop()]);
	},
});
