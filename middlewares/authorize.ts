import type { Context, Middleware } from "moleculer";
import type { Access, Meta } from "../lib/contracts/contract.ts";
import { assertAccess } from "../lib/security/access-rules.ts";

type Handler = (ctx: Context<unknown, Meta>) => Promise<unknown>;

/**
 * Enforces the access rule (`auth`) of an action's contract for every call, from the gateway or a
 * service. Register it before the cacher, which returns cached results without calling the
 * middlewares after it.
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
