import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { users } from "./users.contract.ts";
import type { User } from "./users.rules.ts";
import { FIND_BY_IDS, REQUEST_VERIFICATION } from "./users.statements.ts";

/**
 * Requests a new link that verifies the address of a user, by `user.verification_requested`. A
 * further request within a minute has no effect.
 * @throws EMAIL_VERIFIED; UNAUTHENTICATED for an inactive user
 */
export async function requestVerification(
	self: HasDatabase & HasDurableEvents,
	user_id: string,
): Promise<void> {
	await self.db.transaction(async (tx) => {
		const [recorded] = await tx.query(REQUEST_VERIFICATION, [user_id]);
		if (recorded)
			return void (await self.publish(tx, "user.verification_requested", user_id, { user_id }));
		const [user] = await tx.query<User>(FIND_BY_IDS, [[user_id]]);
		if (!user?.is_active) throw commonError("UNAUTHENTICATED");
		if (user.is_verified) throwError(users, "EMAIL_VERIFIED");
	});
}
