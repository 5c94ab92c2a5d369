import type { Context, Middleware } from "moleculer";
import type { Access, Meta } from "../lib/contracts/contract.ts";
import { assertAccess } from "../lib/security/access-rules.ts";

type Handler = (ctx: Context<unknown, Meta>) => Promise<unknown>;

/**
 * Holds every call, from the gateway or from another service, to the `auth` of the action's contract. It belongs in front of the cacher:
 * a cached answer would skip whatever stands behind it.
 */
export const authorize = {
	name: "Authorize",
	localAction(next: Handler, action: { auth?: Access }): Handler {
		const { auth } = action;
		if (!auth || auth === "anyone") return next;
		return async (ctx) => {
			assertAccess(auth, ctx.meta.user);
			return next(ctx);
		};
	},
} as unknown as Middleware;
