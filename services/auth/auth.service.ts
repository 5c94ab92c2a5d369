import { implement, type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { StartError } from "../../lib/process/start-error.ts";
import {
	ACCESS_TOKEN_SECONDS,
	type AccessClaims,
	signAccessToken,
} from "../../lib/security/access-token.ts";
import { REVOKED } from "../../lib/security/revocations.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import type {} from "../users/users.contract.ts";
import { auth } from "./auth.contract.ts";
import * as revocations from "./auth.revocations.ts";
import * as sessions from "./auth.sessions.ts";

const PRUNE_EVERY = 60_000;

/** Gateways look every second; this only makes it sooner. */
const hint = ({ broker }: ServiceThis): void =>
	void broker.broadcast(REVOKED).catch(() => undefined);

async function voidTokens(
	this: ServiceThis,
	tx: Tx,
	changes: EventOf<"user.access_changed">[],
): Promise<void> {
	for (const { data } of changes) await sessions.voidTokens(tx, data);
	tx.handle.afterCommit(() => hint(this));
}

export default implement(auth, database, durableEvents).with({
	subscriptions: { "user.access_changed": voidTokens },
	setup() {
		const { JWT_SECRET } = envOf(this.broker);
		if (!JWT_SECRET) throw new StartError("JWT_SECRET is not set");
		const clean = () =>
			sessions
				.prune(this.db)
				.catch((error) => this.logger.warn("Pruning the sessions failed", error));
		void clean();
		return { secret: JWT_SECRET, timer: setInterval(clean, PRUNE_EVERY) };
	},
	stop() {
		clearInterval(this.timer);
	},
	actions: {
		async login(ctx) {
			const { token_version, ...user } = await ctx.call("users.authenticate", ctx.params);
			const [id, token] = [newId(), makeSecretToken()];
			const opened = await sessions.openSession(this.db, {
				id,
				user_id: user.id,
				token_version,
				token: digest(token),
			});
			if (!opened) throwError(auth, "INVALID_CREDENTIALS");
			return pair({ ...user, token_version }, id, token, this.secret);
		},

		async refresh(ctx) {
			const old = digest(ctx.params.refresh_token);
			const session = await sessions.findSession(this.db, old);
			if (!session) throw commonError("UNAUTHENTICATED");
			// Before the token counts as used: the client can retry with it if users is unavailable.
			const [user] = await ctx.call("users.identify", { ids: [session.user_id] });
			if (!user?.is_active) {
				await sessions.endSession(this.db, session.id);
				throw commonError("UNAUTHENTICATED");
			}
			const token = makeSecretToken();
			const known = await this.db.transaction((tx) =>
				sessions.exchangeRefreshToken(tx, session.id, old, digest(token)),
			);
			if (known === undefined) {
				hint(this);
				throw commonError("UNAUTHENTICATED");
			}
			// A user's version may be newer than what this service knows: the event that ends this session
			// may still be on its way. The older version makes that event revoke this token, too.
			const token_version = Math.min(user.token_version, known);
			return pair({ ...user, token_version }, session.id, token, this.secret);
		},

		async logout({ params: { refresh_token } }) {
			const session = await sessions.findSession(this.db, digest(refresh_token));
			if (!session) return;
			await sessions.endSession(this.db, session.id);
			hint(this);
		},

		async logoutEverywhere({ meta }) {
			await sessions.endAllSessions(this.db, meta.user!.id);
			hint(this);
		},

		async revocations({ params: { since, cursor } }) {
			return since ? revocations.listSince(this.db, since) : revocations.list(this.db, cursor);
		},
	},
});

type Identity = { readonly id: string; readonly token_version: number } & Pick<
	AccessClaims,
	"email" | "role"
>;
/** What a client is given. */
function pair(
	{ id, email, role, token_version: version }: Identity,
	session: string,
	token: string,
	secret: string,
) {
	return {
		access_token: signAccessToken({ sub: id, email, role, session, version }, secret),
		token_type: "bearer" as const,
		expires_in: ACCESS_TOKEN_SECONDS,
		refresh_token: token,
	};
}
