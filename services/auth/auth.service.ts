import { v7 as uuid } from "uuid";
import { ACCESS_TOKEN_SECONDS, type AccessClaims, signAccessToken } from "../../lib/access-token.ts";
import { implement } from "../../lib/contract.ts";
import { type Queryable, sql, type Tx } from "../../lib/database.ts";
import { envOf } from "../../lib/env.ts";
import { commonError } from "../../lib/errors.ts";
import { digest, makeSecretToken } from "../../lib/secret-token.ts";
import { StartError } from "../../lib/start-error.ts";
import { database } from "../../mixins/db.mixin.ts";
import type {} from "../users/users.contract.ts";
import { auth } from "./auth.contract.ts";

/** How long a session lives after its last refresh. */
const LIFETIME = "interval '30 days'";
const OPEN = sql(
	"open",
	`with session as (insert into sessions (id, user_id, expires_at) values ($1, $2, now() + ${LIFETIME}) returning id)
	insert into refresh_tokens (token_hash, session_id) select $3, id from session`,
);
const FIND = sql("find", "select s.id, s.user_id from sessions s join refresh_tokens t on t.session_id = s.id where t.token_hash = $1");
/** Holds the session until the transaction ends: whoever refreshes or revokes it meanwhile waits. */
const EXTEND = sql(
	"extend",
	`update sessions set expires_at = now() + ${LIFETIME} where id = $1 and revoked_at is null and expires_at > now() returning id`,
);
const USE = sql("use", "update refresh_tokens set used_at = now() where token_hash = $1 and used_at is null returning session_id");
const ADD = sql("add", "insert into refresh_tokens (token_hash, session_id) values ($1, $2)");
const REVOKE = sql("revoke", "update sessions set revoked_at = now() where id = $1 and revoked_at is null");

const PRUNE_EVERY = 60_000;
const STEP = 500;
/** Tokens first: those of a session that has expired are all that old, so no session takes many with it. */
const PRUNE = [
	sql(
		"prune_tokens",
		`delete from refresh_tokens where token_hash in (select token_hash from refresh_tokens
			where created_at < now() - ${LIFETIME} limit ${STEP} for update skip locked) returning 1 as gone`,
	),
	sql(
		"prune_sessions",
		`delete from sessions where id in (select id from sessions
			where expires_at < now() limit ${STEP} for update skip locked) returning 1 as gone`,
	),
];

export default implement(auth, database).with({
	setup() {
		const { JWT_SECRET } = envOf(this.broker);
		if (!JWT_SECRET) throw new StartError("JWT_SECRET is not set");
		const clean = () => prune(this.db).catch((error) => this.logger.warn("Pruning the sessions failed", error));
		void clean();
		return { secret: JWT_SECRET, timer: setInterval(clean, PRUNE_EVERY) };
	},
	stop() {
		clearInterval(this.timer);
	},
	actions: {
		async login(ctx) {
			const user = await ctx.call("users.authenticate", ctx.params);
			const [session, token] = [uuid(), makeSecretToken()];
			await this.db.query(OPEN, [session, user.id, digest(token)]);
			return pair(user, session, token, this.secret);
		},

		async refresh(ctx) {
			const old = digest(ctx.params.refresh_token);
			const [session] = await this.db.query<{ id: string; user_id: string }>(FIND, [old]);
			if (!session) throw commonError("UNAUTHENTICATED");
			// Asked before the token counts as used: when nobody can answer, the client tries again with the same one.
			const [user] = await ctx.call("users.resolve", { ids: [session.user_id] });
			if (!user?.is_active) {
				await this.db.query(REVOKE, [session.id]);
				throw commonError("UNAUTHENTICATED");
			}
			const token = makeSecretToken();
			const exchanged = await this.db.transaction((tx) => exchange(tx, session.id, old, digest(token)));
			if (!exchanged) throw commonError("UNAUTHENTICATED");
			return pair(user, session.id, token, this.secret);
		},

		async logout({ params: { refresh_token } }) {
			const [session] = await this.db.query<{ id: string }>(FIND, [digest(refresh_token)]);
			if (session) await this.db.query(REVOKE, [session.id]);
		},
	},
});

/** What a client is given. */
function pair({ id, email, role }: { id: string } & Pick<AccessClaims, "email" | "role">, session: string, token: string, secret: string) {
	return {
		access_token: signAccessToken({ sub: id, email, role, session }, secret),
		token_type: "bearer" as const,
		expires_in: ACCESS_TOKEN_SECONDS,
		refresh_token: token,
	};
}

/**
 * Puts a new token in the place of one that was not used yet (RFC 9700, 4.14.2). Of several requests with one token the first wins; the next
 * finds it used and revokes the session, the winner's new token with it: which of them is the thief cannot be told.
 * @returns false, and does not throw, when there is nothing to exchange: the revocation must be committed
 */
async function exchange(tx: Tx, session: string, old: Buffer, next: Buffer): Promise<boolean> {
	const [live] = await tx.query(EXTEND, [session]);
	if (!live) return false;
	const [used] = await tx.query(USE, [old]);
	await (used ? tx.query(ADD, [next, session]) : tx.query(REVOKE, [session]));
	return used !== undefined;
}

/** In small steps, so that no statement holds many rows. */
async function prune(db: Queryable): Promise<void> {
	for (const statement of PRUNE) {
		let gone: unknown[];
		do gone = await db.query(statement);
		while (gone.length === STEP);
	}
}
