import { type Loop, loop } from "../lib/async/poller.ts";
import type { Mixin, ServiceThis } from "../lib/contracts/contract.ts";
import { PRUNED_AT_ONCE, pruneKeys } from "../lib/idempotency/idempotency.ts";
import type { HasDatabase } from "./database.mixin.ts";

const PRUNE_EVERY = 60_000;

/** Forgets old Idempotency-Keys, in small steps, on the database of the `database` mixin. */
export const idempotency: Mixin = {
	async started(this: ServiceThis & HasDatabase & { $pruning: Loop }) {
		this.$pruning = loop({
			every: PRUNE_EVERY,
			turn: async () => (await pruneKeys(this.db)) === PRUNED_AT_ONCE,
			onError: (error) => this.logger.warn("Pruning the idempotency keys failed", { error }),
		});
		// What has grown old while nobody ran.
		this.$pruning.wake();
	},
	async stopped(this: { $pruning?: Loop }) {
		await this.$pruning?.stop();
	},
};
