import type { Mixin, ServiceThis } from "../lib/contract.ts";
import { pruneKeys } from "../lib/idempotency.ts";
import type { HasDatabase } from "./db.mixin.ts";

const PRUNE_EVERY = 60_000;

/** Forgets old Idempotency-Keys, in small steps, on the database of the `database` mixin. */
export const idempotency: Mixin = {
	started(this: ServiceThis & HasDatabase & { $pruning: NodeJS.Timeout }) {
		const prune = () => pruneKeys(this.db).catch((error) => this.logger.warn("Pruning the idempotency keys failed", error));
		this.$pruning = setInterval(prune, PRUNE_EVERY);
		return Promise.resolve();
	},
	stopped(this: { $pruning?: NodeJS.Timeout }) {
		clearInterval(this.$pruning);
		return Promise.resolve();
	},
};
