import type { Context, Middleware } from "moleculer";
import type { Access, Meta } from "../lib/contract.ts";
import { commonError } from "../lib/errors.ts";

type Handler = (ctx: Context<unknown, Meta>) => Promise<unknown>;

/**
 * Holds every call, from the gateway or from another service, to the `auth` of the action's contract. It belongs in front of the cacher:
 * a cached answer would skip whatever stands behind it. `owner` is a user here; whether the row is theirs only the handler can tell.
 */
export const authorize = {
	name: "Authorize",
	localAction(next: Handler, action: { auth?: Access }): Handler {
		const { auth } = action;
		if (!auth || auth === "anyone") return next;
		return (ctx) => {
			const { user } = ctx.meta;
			if (!user) return Promise.reject(commonError("UNAUTHENTICATED"));
			if (auth === "admin" && user.role !== "admin") return Promise.reject(commonError("FORBIDDEN"));
			return next(ctx);
		};
	},
} as unknown as Middleware;
