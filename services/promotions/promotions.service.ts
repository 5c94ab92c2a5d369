import { pollerGroup } from "../../lib/async/poller.ts";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { assertNotEmpty } from "../../lib/contracts/changes.ts";
import { callerOf, throwError } from "../../lib/contracts/contract.ts";
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { readEventHistory } from "../../lib/messaging/event-history.ts";
import { alignBy } from "../../lib/persistence/align-rows.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { MAX_AUTOMATIC } from "../../lib/pricing/limits.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { records } from "../../mixins/records.mixin.ts";
import type { Use } from "./promotions.allocation.rules.ts";
import { promotions } from "./promotions.contract.ts";
import { expire } from "./promotions.expiry.ts";
import { definePromotion } from "./promotions.models.ts";
import { AUDIT_REDEMPTIONS, FIND_CUSTOMER_USES } from "./promotions.redemptions.statements.ts";
import { createRedemptions, type Status } from "./promotions.redemptions.ts";
import {
	type Applicable,
	assertSameCurrency,
	checkedFields,
	type Promotion,
} from "./promotions.rules.ts";
import * as statements from "./promotions.statements.ts";

/** Lifetime of a cached result in milliseconds. A change invalidates it at once. */
const CACHE_TTL_MS = 60_000;
const MAX_EXPIRY_INTERVAL_MS = 10_000;
/**
 * Bytes of the names and conditions of all automatic promotions that have not ended: they fit into
 * the smallest message that NATS must accept.
 */
const MAX_AUTOMATIC_BYTES = 400_000;

type RedemptionAuditRow = { order_id: string; status: Status; uses: Use[] };

export default defineService(promotions)({
	mixins: [database, records<Promotion>(definePromotion), durableEvents, idempotency],

	created() {
		const { db, eventData, wakeRelay } = this;
		const seconds = envOf(this.broker).RESERVATION_SECONDS;
		const rows = cacheOf(this.broker).of<Applicable>("promotions", CACHE_TTL_MS);
		return {
			rows,
			redemptions: createRedemptions({ db, eventData, wakeRelay, rows, seconds }),
			redemptionSeconds: seconds,
			pollers: pollerGroup(),
		};
	},

	methods: {
		/**
		 * Every cart is priced with all automatic promotions, and one message contains them all.
		 * @throws TOO_MANY_AUTOMATIC if there are too many after the change of a promotion
		 */
		async assertFewAutomatic(tx: Tx, changed: Promotion): Promise<void> {
			if (changed.code !== null) return;
			await tx.query(statements.LOCK_AUTOMATIC);
			const [all] = await tx.query<{ count: number; bytes: number }>(statements.MEASURE_AUTOMATIC);
			if (all!.count > MAX_AUTOMATIC || all!.bytes > MAX_AUTOMATIC_BYTES)
				throwError(promotions, "TOO_MANY_AUTOMATIC");
		},
	},

	actions: {
		list(ctx) {
			return this.listRecords(ctx, { ...ctx.params, sort: ["-id"] });
		},

		async get({ params: { id } }) {
			return (await this.findRecord(id)) ?? throwError(promotions, "PROMOTION_NOT_FOUND");
		},

		async create(ctx) {
			const fields = checkedFields({
				code: null,
				starts_at: null,
				ends_at: null,
				conditions: {},
				usage_limit: null,
				usage_limit_per_customer: null,
				budget: null,
				...ctx.params,
			});
			return this.rows.whileInvalidated([], () =>
				executeOnce(this.db, ctx, 201, async (tx) => {
					const values = statements.promotionValues(newId(), fields);
					const [created] = await tx.query<Promotion>(statements.INSERT_PROMOTION, values);
					if (!created) throwError(promotions, "CODE_TAKEN");
					await this.assertFewAutomatic(tx, created);
					return created;
				}),
			);
		},

		async update({ params: { id, ...changes } }) {
			assertNotEmpty(changes);
			return this.rows.whileInvalidated([], () =>
				this.db.transaction(async (tx) => {
					const [before] = await tx.query<Promotion>(statements.LOCK_PROMOTION, [id]);
					if (!before) return throwError(promotions, "PROMOTION_NOT_FOUND");
					const changed = { ...before, ...changes };
					assertSameCurrency(before, changed);
					const fields = checkedFields(changed);
					const values = statements.promotionValues(id, fields);
					const [after] = await tx
						.query<Promotion>(statements.UPDATE_PROMOTION, values)
						.catch(rethrowConflict);
					await this.assertFewAutomatic(tx, after!);
					return after!;
				}),
			);
		},

		async remove({ params: { id } }) {
			const [deleted] = await this.rows.whileInvalidated([], () =>
				this.db.query(statements.DELETE_PROMOTION, [id]),
			);
			if (!deleted) throwError(promotions, "PROMOTION_NOT_FOUND");
		},

		automatic() {
			return this.rows.readResult("automatic", CACHE_TTL_MS, () =>
				this.db.query<Applicable>(statements.FIND_AUTOMATIC),
			);
		},

		async resolve({ params }) {
			const codes = params.codes.map((code) => code.toLowerCase());
			return this.rows.readResult(`codes ${JSON.stringify(codes)}`, CACHE_TTL_MS, async () => {
				const found = await this.db.query<Applicable>(statements.FIND_BY_CODES, [codes]);
				return alignBy(codes, found, ({ code }) => code!.toLowerCase());
			});
		},

		async usage({ params: { uses } }) {
			const key = (use: (typeof uses)[number]) => `${use.promotion_id} ${use.customer}`;
			const found = await this.db.query<(typeof uses)[number] & { used: number }>(
				FIND_CUSTOMER_USES,
				[uses.map(({ promotion_id }) => promotion_id), uses.map(({ customer }) => customer)],
			);
			return alignBy(uses.map(key), found, key).map((row) => row?.used ?? 0);
		},

		redeem({ params: { orders } }) {
			return this.redemptions.redeem(orders);
		},

		release({ params: { orders } }) {
			return this.redemptions.release(orders);
		},

		async auditRedemptions({ params: { after, upto, limit } }) {
			return this.db.query<RedemptionAuditRow>(AUDIT_REDEMPTIONS, [after, upto, limit]);
		},

		history({ params: { subject } }) {
			return readEventHistory(this.db, subject);
		},
	},

	started() {
		const { db, logger, redemptions, redemptionSeconds: seconds } = this;
		const call = callerOf(this);
		this.pollers.start({
			intervalMs: Math.min(seconds * 1000, MAX_EXPIRY_INTERVAL_MS),
			poll: () => expire({ db, call, seconds, release: redemptions.release }),
			onError: (error) =>
				logger.warn("Expired redemptions could not be checked; will retry", { error }),
		});
	},

	async stopped() {
		await this.pollers.stop();
	},
});

/** Rethrows a unique violation as CODE_TAKEN. */
function rethrowConflict(error: { code?: string }): never {
	if (error.code !== "23505") throw error;
	throwError(promotions, "CODE_TAKEN");
}
