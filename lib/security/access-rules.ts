import type { Access, Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";

/**
 * Enforces the access rule of an action. For `owner` it only requires a user; the handler checks
 * the owner of the row.
 *
 * @throws UNAUTHENTICATED, FORBIDDEN
 */
export function assertAccess(auth: Access | undefined, user: Meta["user"]): void {
	if (!auth || auth === "anyone") return;
	if (!user) throw commonError("UNAUTHENTICATED");
	if (auth === "admin" && user.role !== "admin") throw commonError("FORBIDDEN");
}
