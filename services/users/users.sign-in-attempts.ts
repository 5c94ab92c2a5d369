import { commonError } from "../../lib/contracts/errors.ts";
import { type Queryable, sql } from "../../lib/persistence/database.ts";
import { digest } from "../../lib/security/secret-token.ts";

/** Failures that cost nothing: typing errors, and a program that signs in several times at once. */
const FREE = 10;
/**
 * The wait doubles with each further failure, up to a minute: guessing gets hopeless, and whoever shares the address and remembers the password is
 * kept out no longer than that.
 */
const MAX_SECONDS = 60;

const SINCE = "case when a.at < now() - interval '1 hour' then 0 else a.failures end";
/** Counted before the password is looked at, so that a thousand guesses at once are a thousand. After an hour of quiet it begins anew. */
const COUNT = sql(
	"count_attempt",
	`with old as (delete from sign_in_attempts where (email_hash, address) in (
		select email_hash, address from sign_in_attempts where at < now() - interval '1 hour' and email_hash <> $1 limit 10 for update skip locked))
	insert into sign_in_attempts as a (email_hash, address) values ($1, $2)
	on conflict (email_hash, address) do update set at = now(), failures = ${SINCE} + 1,
		next_at = case when ${SINCE} + 1 < ${FREE} then now()
			else now() + make_interval(secs => least(${MAX_SECONDS}, power(2, ${SINCE} + 1 - ${FREE}))) end
		where a.next_at <= now()
	returning failures`,
);
const WAIT = sql(
	"wait_of_attempt",
	"select ceil(extract(epoch from next_at - now()))::int as seconds from sign_in_attempts where email_hash = $1 and address = $2",
);
const FORGET = sql(
	"forget_attempts",
	"delete from sign_in_attempts where email_hash = $1 and address = $2",
);

/**
 * Lets somebody at `address` try to be the account `email`. Whoever fails often waits longer and longer, on this account and from this address
 * only, so nobody can keep a customer out from elsewhere. Calls that come from no client are not counted.
 * @throws RATE_LIMITED with `retry_after` seconds, also for the right password: it would tell
 */
export async function limitSignIns<T>(
	db: Queryable,
	email: string,
	address: string | undefined,
	attempt: () => Promise<T>,
): Promise<T> {
	if (address === undefined) return attempt();
	const pair = [digest(email), address];
	if ((await db.query(COUNT, pair)).length === 0) {
		const [wait] = await db.query<{ seconds: number }>(WAIT, pair);
		throw commonError("RATE_LIMITED", { retry_after: Math.max(1, wait?.seconds ?? 1) });
	}
	const result = await attempt();
	await db.query(FORGET, pair);
	return result;
}
