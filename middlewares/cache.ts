import type { Context, Middleware, ServiceBroker } from "moleculer";
import { cacheOf, openCache, provideCache } from "../lib/caching/lease-cache.ts";
import type { ActionContract, Meta } from "../lib/contracts/contract.ts";
import { metricsOf } from "../lib/observability/metrics/registry.ts";
import type { Env } from "../lib/settings/env.ts";

type Handler = (ctx: Context<object, Meta>) => Promise<unknown>;
type Action = ActionContract & {
	readonly name: string;
	readonly service: { readonly name: string };
};

/**
 * Opens the cache of a broker, and caches results of actions with a `cache` in their contract.
 * Register it after the middlewares that check the caller and the parameters.
 */
export const cacheResults = (env: Env): Middleware =>
	({
		name: "Cache",
		created(broker: ServiceBroker) {
			provideCache(broker, openCache(env, broker.getLogger("cache"), metricsOf(broker)));
		},
		localAction(
			this: ServiceBroker,
			next: Handler,
			{ name, service, auth, params, returns, cache: caching }: Action,
		): Handler {
			if (!caching) return next;
			const fields = Object.keys(params);
			return async (ctx) => {
				const { user } = ctx.meta;
				const caller = auth === "anyone" ? [] : [user?.id, user?.role];
				// By name, so that a missing parameter differs from null.
				const given = Object.fromEntries(
					fields.map((field) => [field, ctx.params[field as never]]),
				);
				const key = JSON.stringify([name, returns, caller, given]);
				return cacheOf(this)
					.of(service.name, caching.ttl)
					.readResult(key, caching.ttl, () => next(ctx));
			};
		},
		async stopped(broker: ServiceBroker) {
			await cacheOf(broker).close();
		},
	}) as unknown as Middleware;
