import type { Access, Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";

/**
 * Holds a caller to the `auth` of a contract. `owner` is a user here; whether the row is theirs only the handler can tell.
 * @throws UNAUTHENTICATED, FORBIDDEN
 */
export function assertAccess(auth: Access | undefined, user: Meta["user"]): void {
	if (!auth || auth === "anyone") return;
	if (!user) throw commonError("UNAUTHENTICATED");
	if (auth === "admin" && user.role !== "admin") throw commonError("FORBIDDEN");
}
