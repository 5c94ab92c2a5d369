import { startPoller } from "../../lib/async/poller.ts";
import { implement } from "../../lib/contracts/contract.ts";
import {
	claimKey,
	keyedRequest,
	replayResponse,
	storeResponse,
} from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { createCharges } from "./payments.charges.ts";
import { payments } from "./payments.contract.ts";
import { createRefunds } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import type { Payment, PaymentSeen } from "./payments.rules.ts";
import { AUDIT_PAYMENTS, LIST } from "./payments.statements.ts";
import { simulatedProvider } from "./providers/simulated/provider.ts";

type PaymentLook = Pick<Payment, "order_id" | "amount" | "status" | "refunded_amount"> & {
	unsettled: number;
};

/** Limits for the responses of the payment provider to one batch. */
const PATIENCE = { totalMs: 250, idleMs: 50 };
const SWEEP_EVERY = 5000;

export default implement(payments, database, durableEvents, idempotency).with({
	setup() {
		const { db, eventData, wakeRelay, logger } = this;
		const provider = simulatedProvider(db);
		const desk = { db, eventData, wakeRelay, logger, provider, patience: PATIENCE };
		const refunds = createRefunds(desk);
		const unfinished = (error: unknown) =>
			logger.warn("Refunds could not be finished and will be tried again", { error });
		const charges = createCharges(desk);
		const unrecorded = (error: unknown) =>
			logger.warn("Authorisations could not be looked up and will be again", { error });
		const sweeps = [
			startPoller({ intervalMs: SWEEP_EVERY, poll: refunds.sweep, onError: unfinished }),
			startPoller({ intervalMs: SWEEP_EVERY, poll: charges.reconcile, onError: unrecorded }),
		];
		return {
			provider,
			refunds,
			charges,
			reversals: createReversals(desk, refunds, charges),
			unfinished,
			sweeps,
		};
	},
	async stop() {
		await Promise.all((this.sweeps ?? []).map((sweep) => sweep.stop()));
	},

	actions: {
		async list({ params: { order_id }, meta: { user } }) {
			return this.db.query<PaymentSeen>(LIST, [order_id, user!.role === "admin" ? null : user!.id]);
		},

		async refund(ctx) {
			const request = keyedRequest(ctx);
			// The answer is kept before the provider is asked: from here on the refund happens, if need be without this request.
			const made = await this.db.transaction(async (tx) => {
				const earlier = request && (await claimKey(tx, request));
				if (earlier) return { earlier };
				const reserved = await this.refunds.reserve(tx, ctx.params);
				if (request) await storeResponse(tx, request, 201, reserved.payment);
				return reserved;
			});
			if ("earlier" in made) return replayResponse<PaymentSeen>(ctx.meta, made.earlier);
			await this.refunds.settle([made.refund]).catch(this.unfinished);
			return made.payment;
		},

		async charge({ params: { orders } }) {
			return this.charges.charge(orders);
		},

		async reverse({ params: { orders } }) {
			const ids = orders.map(({ order_id }) => order_id);
			return this.reversals.reverse(
				ids,
				new Map(orders.map(({ order_id, traceparent }) => [order_id, traceparent])),
			);
		},

		async auditPayments({ params: { after, upto, limit } }) {
			return this.db.query<PaymentLook>(AUDIT_PAYMENTS, [after, upto, limit]);
		},

		async auditCharges({ params }) {
			return this.provider.ledgerEntries(params);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},
});
