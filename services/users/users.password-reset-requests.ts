import { type Poller, startPoller } from "../../lib/async/poller.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import type { ServiceThis } from "../../lib/contracts/contract.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { emailKeys } from "./users.rules.ts";
import {
	HANDLE_PASSWORD_RESETS,
	PASSWORD_RESET_BATCH_SIZE,
	REQUEST_PASSWORD_RESET,
} from "./users.statements.ts";

/** A request wakes the poller of its node; the interval finds requests of nodes that died. */
const POLL_INTERVAL_MS = 5000;

/**
 * Records a request for a password reset, whether or not the account exists. The poller looks the
 * account up later, so the response time does not reveal it.
 */
export async function requestPasswordReset(db: Database, email: string): Promise<void> {
	await db.query(REQUEST_PASSWORD_RESET, [emailKeys(email).canonical, currentTraceparent()]);
}

/** Starts the poller that publishes `user.password_reset_requested` for recorded requests. */
export const startPasswordResetPoller = (
	self: ServiceThis & HasDatabase & HasDurableEvents,
): Poller =>
	startPoller({
		intervalMs: POLL_INTERVAL_MS,
		poll: () => publishPasswordResets(self),
		onError: (error) =>
			self.logger.warn("Reading the requests for password resets failed", { error }),
	});

/** Handles a batch of requests. True if there may be more. */
const publishPasswordResets = (self: HasDatabase & HasDurableEvents): Promise<boolean> =>
	self.db.transaction(async (tx) => {
		const requests = await tx.query<{ id: string | null; traceparent: string | undefined }>(
			HANDLE_PASSWORD_RESETS,
		);
		for (const { id, traceparent } of requests)
			if (id)
				await self.publish(tx, "user.password_reset_requested", id, { user_id: id }, traceparent);
		return requests.length === PASSWORD_RESET_BATCH_SIZE;
	});
