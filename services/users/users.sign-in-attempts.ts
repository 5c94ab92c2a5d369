import { commonError } from "../../lib/contracts/errors.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import { digest } from "../../lib/security/secret-token.ts";
import * as statements from "./users.statements.ts";

/** An account, by its canonical address, and the network address of a client. */
interface SignInAttempt {
	readonly email: string;
	/** Undefined for calls that do not come from a client; they are not limited. */
	readonly address: string | undefined;
}

/**
 * Counts an attempt before its password is verified, so that concurrent attempts are all counted.
 * The delay after many failures applies to this account and client address only, so a customer
 * cannot be locked out from elsewhere.
 * @throws RATE_LIMITED with `retry_after` in seconds, also for the correct password, because the
 * difference would reveal it
 */
export async function countAttempt(
	db: Queryable,
	{ email, address }: SignInAttempt,
): Promise<void> {
	if (address === undefined) return;
	const pair = [digest(email), address];
	const counted = await db.query(statements.COUNT_ATTEMPT, pair);
	if (counted.length > 0) return;
	const [delay] = await db.query<{ seconds: number }>(statements.REMAINING_DELAY, pair);
	throw commonError("RATE_LIMITED", { retry_after: Math.max(1, delay?.seconds ?? 1) });
}

/** Clears the failures of an account and client address after a successful sign-in. */
export async function clearAttempts(
	db: Queryable,
	{ email, address }: SignInAttempt,
): Promise<void> {
	if (address !== undefined) await db.query(statements.CLEAR_ATTEMPTS, [digest(email), address]);
}
