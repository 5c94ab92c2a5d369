import { type Poller, pollerGroup } from "../../lib/async/poller.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Value } from "../../lib/contracts/schema.ts";
import {
	claimKey,
	keyedRequest,
	replayResponse,
	storeResponse,
} from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { isReadable } from "./payments.access.ts";
import { createCharges } from "./payments.charges.ts";
import { payments } from "./payments.contract.ts";
import { GET } from "./payments.ledger.statements.ts";
import { createLookups } from "./payments.lookups.ts";
import { createRefunds } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import type { Payment, PaymentWithRefunds } from "./payments.rules.ts";
import { AUDIT_PAYMENTS, FAILED_REFUNDS, LIST } from "./payments.statements.ts";
import { detailsOf, type PaymentRow } from "./payments.updates.ts";
import { createWebhooks } from "./payments.webhooks.ts";
import { createProvider } from "./providers/index.ts";

type AuditRow = Pick<Payment, "order_id" | "amount" | "status" | "refunded_amount"> & {
	unsettled: number;
	failed_refunds: number;
};

type FailedRefund = Value<typeof payments.actions.failedRefunds.returns.items>;

const LONG_LIMITS = { totalMs: 3000, idleMs: 1500 };
const POLL_INTERVAL_MS = 5000;
const PRUNE_INTERVAL_MS = 600_000;
const CATCH_UP_INTERVAL_MS = 600_000;

export default defineService(payments)({
	mixins: [database, durableEvents, idempotency],

	created() {
		const { db, eventData, wakeRelay, logger } = this;
		const env = envOf(this.broker);
		const provider = createProvider({ db, logger, env });
		const windowSeconds = env.PAYMENT_WINDOW_MINUTES * 60;
		const parts = { db, eventData, wakeRelay, logger, provider, windowSeconds };
		const dependencies = { ...parts, limits: provider.limits, longLimits: LONG_LIMITS };
		const refunds = createRefunds(dependencies);
		const reversals = createReversals(dependencies, refunds);
		const lookups = createLookups(dependencies, refunds, reversals);
		return {
			provider,
			refunds,
			reversals,
			lookups,
			charges: createCharges(dependencies),
			webhooks: createWebhooks(dependencies, lookups),
			consumer: undefined as Poller | undefined,
			pollers: pollerGroup(),
		};
	},

	methods: {
		logUnsettled(error: unknown) {
			this.logger.warn("Refunds could not be settled; will retry", { error });
		},
	},

	actions: {
		async list(ctx) {
			const [found] = await this.db.query<PaymentWithRefunds>(LIST, [ctx.params.order_id]);
			return found && (await isReadable(ctx, found)) ? [found] : [];
		},

		async get(ctx) {
			const [found] = await this.db.query<PaymentRow>(GET, [ctx.params.id]);
			const payment = found && detailsOf(found);
			if (!payment || !(await isReadable(ctx, payment)))
				return throwError(payments, "PAYMENT_NOT_FOUND");
			return payment;
		},

		async refund(ctx) {
			const request = keyedRequest(ctx);
			// The response is stored before the provider is called. From this commit on, the refund
			// takes place, if necessary without this request.
			const recorded = await this.db.transaction(async (tx) => {
				const earlier = request && (await claimKey(tx, request));
				if (earlier) return { earlier };
				const reserved = await this.refunds.reserve(tx, ctx.params);
				if (request) await storeResponse(tx, request, 201, reserved.payment);
				return reserved;
			});
			if ("earlier" in recorded)
				return replayResponse<PaymentWithRefunds>(ctx.meta, recorded.earlier);
			await this.refunds.settle([recorded.refund]).catch(this.logUnsettled);
			return recorded.payment;
		},

		async charge({ params: { orders } }) {
			return this.charges.charge(orders);
		},

		async reverse({ params: { orders } }) {
			return this.reversals.reverse(orders);
		},

		async refundOrders({ params: { orders } }) {
			return this.refunds.refundOrders(orders);
		},

		async failedRefunds({ params: { limit } }) {
			return this.db.query<FailedRefund>(FAILED_REFUNDS, [limit]);
		},

		async webhook({ params: { provider, body, headers } }) {
			const byName = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
			const bytes = Buffer.from(body, "base64");
			if (await this.webhooks.receive(provider, bytes, byName)) this.consumer?.wake();
			return { received: true };
		},

		async simulate({ params: { order_id, result } }) {
			const { simulate } = this.provider;
			if (!simulate) return throwError(payments, "NOT_SIMULATED");
			const decided = await simulate(order_id, result);
			if (decided) await this.lookups.lookUp([order_id]);
			return { decided };
		},

		async auditPayments({ params: { after, upto, limit } }) {
			return this.db.query<AuditRow>(AUDIT_PAYMENTS, [after, upto, limit]);
		},

		async auditCharges({ params }) {
			return this.provider.ledgerEntries(params);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},

	started() {
		const poll = (poll: () => Promise<boolean>, what: string, intervalMs = POLL_INTERVAL_MS) => {
			const onError = (error: unknown) => this.logger.warn(`${what} failed; will retry`, { error });
			return this.pollers.start({ intervalMs, poll, onError });
		};
		poll(this.refunds.settleDue, "Settling refunds");
		poll(this.lookups.lookUpDue, "Looking payments up");
		poll(this.lookups.lookUpSettled, "Looking settled refunds up");
		poll(this.webhooks.prune, "Pruning webhook events", PRUNE_INTERVAL_MS);
		this.consumer = poll(this.webhooks.consume, "Processing webhook events");
		const catchUp = async () => {
			if (await this.webhooks.catchUp()) this.consumer?.wake();
			return false;
		};
		// At once as well: webhooks may have been lost while no node was running.
		poll(catchUp, "Listing recent events of the provider", CATCH_UP_INTERVAL_MS).wake();
	},

	async stopped() {
		await this.pollers.stop();
		await this.provider.close?.();
	},
});
