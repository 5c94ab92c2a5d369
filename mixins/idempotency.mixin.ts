import { type Poller, startPoller } from "../lib/async/poller.ts";
import type { Mixin, ServiceThis } from "../lib/contracts/contract.ts";
import { PRUNE_BATCH_SIZE, pruneKeys } from "../lib/idempotency/idempotency.ts";
import type { HasDatabase } from "./database.mixin.ts";

const PRUNE_INTERVAL_MS = 60_000;

/** Deletes old idempotency keys in batches, from the database of the `database` mixin. */
export const idempotency: Mixin = {
	async started(this: ServiceThis & HasDatabase & { $pruning: Poller }) {
		this.$pruning = startPoller({
			intervalMs: PRUNE_INTERVAL_MS,
			poll: async () => (await pruneKeys(this.db)) === PRUNE_BATCH_SIZE,
			onError: (error) => this.logger.warn("Pruning the idempotency keys failed", { error }),
		});
		// Deletes the keys that expired while no process was running.
		this.$pruning.wake();
	},
	async stopped(this: { $pruning?: Poller }) {
		await this.$pruning?.stop();
	},
};
