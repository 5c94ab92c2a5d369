import { startPoller } from "../../lib/async/poller.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { newId } from "../../lib/persistence/id.ts";
import { StartError } from "../../lib/process/start-error.ts";
import {
	ACCESS_TOKEN_SECONDS,
	type AccessClaims,
	signAccessToken,
} from "../../lib/security/access-token.ts";
import { REVOKED } from "../../lib/security/revocations.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import type {} from "../users/users.contract.ts";
import { auth } from "./auth.contract.ts";
import { listRevocations, listRevocationsSince } from "./auth.revocations.ts";
import {
	endAllSessions,
	endSession,
	exchangeRefreshToken,
	findSession,
	openSession,
	prune,
	revokeOlderTokens,
} from "./auth.sessions.ts";

/** Claims of an access token, under the names of the users service. */
interface Identity extends Pick<AccessClaims, "email" | "role"> {
	readonly id: string;
	readonly token_version: number;
}

const PRUNE_INTERVAL_MS = 60_000;

export default defineService(auth)({
	mixins: [database, durableEvents],

	created() {
		const { JWT_SECRET } = envOf(this.broker);
		if (!JWT_SECRET)
			throw new StartError("JWT_SECRET is not set: auth needs it to sign access tokens");
		return {
			jwtSecret: JWT_SECRET,
			pruning: startPoller({
				intervalMs: PRUNE_INTERVAL_MS,
				poll: async () => {
					await prune(this.db);
					return false;
				},
				onError: (error) => this.logger.warn("Pruning the sessions failed", { error }),
			}),
		};
	},

	methods: {
		/** Tokens of a session, as a client receives them. */
		tokenPair(
			{ id, email, role, token_version: version }: Identity,
			session: string,
			refresh_token: string,
		) {
			const claims = { sub: id, email, role, session, version };
			return {
				access_token: signAccessToken(claims, this.jwtSecret),
				token_type: "bearer" as const,
				expires_in: ACCESS_TOKEN_SECONDS,
				refresh_token,
			};
		},

		/** Broadcasts a hint to read the revocations at once, not within a second. It can get lost. */
		announceRevocations(): void {
			this.broker.broadcast(REVOKED).catch(() => undefined);
		},
	},

	started() {
		this.pruning.wake();
	},

	stopped() {
		return this.pruning.stop();
	},

	actions: {
		async login(ctx) {
			const user = await ctx.call("users.authenticate", ctx.params);
			const session = newId();
			const token = makeSecretToken();
			const isOpen = await openSession(this.db, {
				id: session,
				user_id: user.id,
				token_version: user.token_version,
				token: digest(token),
			});
			if (!isOpen) throwError(auth, "INVALID_CREDENTIALS");
			return this.tokenPair(user, session, token);
		},

		async refresh(ctx) {
			const oldDigest = digest(ctx.params.refresh_token);
			const session = await findSession(this.db, oldDigest);
			if (!session) throw commonError("UNAUTHENTICATED");
			// Before the token counts as used: the client can retry with it if users is unavailable.
			const [user] = await ctx.call("users.identify", { ids: [session.user_id] });
			if (!user?.is_active) {
				await endSession(this.db, session.id);
				throw commonError("UNAUTHENTICATED");
			}
			const token = makeSecretToken();
			const version = await this.db.transaction((tx) =>
				exchangeRefreshToken(tx, session.id, oldDigest, digest(token)),
			);
			if (version === undefined) {
				this.announceRevocations();
				throw commonError("UNAUTHENTICATED");
			}
			// The user's version may be newer than that of the session if the event that ends the
			// session has not arrived yet. The older version lets that event revoke this token, too.
			const token_version = Math.min(user.token_version, version);
			return this.tokenPair({ ...user, token_version }, session.id, token);
		},

		async logout({ params: { refresh_token } }) {
			const session = await findSession(this.db, digest(refresh_token));
			if (!session) return;
			await endSession(this.db, session.id);
			this.announceRevocations();
		},

		async logoutEverywhere({ meta }) {
			await endAllSessions(this.db, meta.user!.id);
			this.announceRevocations();
		},

		revocations({ params: { since, cursor } }) {
			return since ? listRevocationsSince(this.db, since) : listRevocations(this.db, cursor);
		},
	},

	subscriptions: {
		async "user.access_changed"(tx, events) {
			for (const { data } of events) await revokeOlderTokens(tx, data);
			tx.handle.afterCommit(() => this.announceRevocations());
		},
	},
});
