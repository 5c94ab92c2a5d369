import type { Logger } from "moleculer";
import type { SettleLimits } from "../../lib/async/settle-within.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import type { PaymentProvider } from "./providers/provider.ts";

/** External objects that charges, refunds and reversals need. */
export interface Dependencies
	extends HasDatabase,
		Pick<HasDurableEvents, "eventData" | "wakeRelay"> {
	readonly logger: Pick<Logger, "warn">;
	readonly provider: PaymentProvider;
	/** Time in which a buyer must confirm a payment. */
	readonly windowSeconds: number;
	/** Limits for a batch of charges, so that slow ones do not delay the others. */
	readonly limits: SettleLimits;
	/**
	 * Limits for a batch of other requests to the provider. A repeated request would take as long
	 * again, and nothing records a late response.
	 */
	readonly longLimits: SettleLimits;
}
