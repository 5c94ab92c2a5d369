import type { ServiceBroker } from "moleculer";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { Handler, RouteTable, Target } from "../http/exchange.ts";
import type { Published } from "./published.ts";
import { type Match, Router } from "./router.ts";

/** Static segments and parameters that are whole segments (docs/adr/0022-gateway-router.md). */
const ROUTE = /^([A-Z]+) (\/|(?:\/(?::\w+|[^\s/:*?#()]+))+)$/;
/** Returns the name of an action's service. */
export const serviceOf = (action: string): string => action.slice(0, action.lastIndexOf("."));

/**
 * Routes of the live cluster. A route remains when its service is gone, so that a request receives
 * 503 instead of 404. It is removed when its service returns without it.
 */
export class Routes implements RouteTable {
	readonly #known = new Map<string, Published>();
	readonly #seen = new Set<string>();
	readonly #domains: ReadonlySet<string>;
	readonly #endpoints: Readonly<Record<string, Handler>>;
	readonly #route: object;
	#router = new Router<Target>();
	/** Increases whenever the routes may have changed. */
	revision = 0;
	tokenHeaders: readonly string[] = [];

	/**
	 * @param domains names of the shop's services, available or not
	 * @param endpoints system endpoints by "METHOD /path"
	 * @param route moleculer-web's record of the path prefix
	 */
	constructor(
		domains: readonly string[],
		endpoints: Readonly<Record<string, Handler>>,
		route: object,
	) {
		this.#domains = new Set(domains);
		this.#endpoints = endpoints;
		this.#route = route;
	}

	/** Reads the routes from the registry. @returns problems for the log */
	update(broker: ServiceBroker): string[] {
		const problems: string[] = [];
		const live = new Set<string>();
		const offered = new Map<string, Published>();
		for (const { name, count, action } of broker.registry.getActionList({ onlyAvailable: false })) {
			if (count === 0) continue;
			live.add(serviceOf(name));
			const { rest, visibility, auth } = (action ?? {}) as Partial<Published> & {
				visibility?: string;
			};
			if (typeof rest !== "string" || visibility !== "published") continue;
			// An action without an access rule must not become public by mistake.
			if (auth && ROUTE.test(rest)) offered.set(name, action as unknown as Published);
			else
				problems.push(`${name} has the route "${rest}", which is malformed or has no access rule`);
		}
		for (const name of this.#known.keys()) if (live.has(serviceOf(name))) this.#known.delete(name);
		for (const [name, action] of offered) this.#known.set(name, action);
		for (const service of live) this.#seen.add(service);
		return [...problems, ...this.#build()];
	}

	#build(): string[] {
		const problems: string[] = [];
		const router = new Router<Target>();
		const route = this.#route;
		for (const [endpoint, handler] of Object.entries(this.#endpoints)) {
			const [method, path] = split(endpoint);
			router.add(method, path, { handler, pattern: path, route });
		}
		const actions = [...this.#known.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
		const collections = new Set(
			actions.flatMap(({ rest }) => /^GET (.+)\/:[^/]+$/.exec(rest)?.[1] ?? []),
		);
		const resources = new Set(
			actions.flatMap(({ rest }) => /^GET (.+\/:[^/]+)$/.exec(rest)?.[1] ?? []),
		);
		for (const contract of actions) {
			const [method, path] = split(contract.rest);
			const pattern = `/api${path}`;
			const target = {
				action: contract.name,
				contract,
				collection: collections.has(path),
				onResource: resources.has(parentOf(path)),
				pattern,
				route,
			};
			for (const verb of [method, ...(contract.also ?? [])]) {
				if (!router.add(verb, pattern, target))
					problems.push(
						`${contract.name} is not reachable: another action has the route ${verb} ${path}`,
					);
			}
		}
		this.#router = router;
		this.tokenHeaders = [...new Set(actions.flatMap(({ token }) => token ?? []))].sort();
		this.revision++;
		return problems;
	}

	/**
	 * Returns the target of a request.
	 * @throws ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED; SERVICE_UNAVAILABLE below the path of a service
	 * that has never been available, because its routes are unknown
	 */
	find(method: string | undefined, path: string): Match<Target> {
		try {
			return this.#router.find(method, path);
		} catch (error) {
			const domain = /^\/api\/([^/]+)/.exec(path)?.[1] ?? "";
			throw this.#domains.has(domain) && !this.#seen.has(domain)
				? commonError("SERVICE_UNAVAILABLE")
				: error;
		}
	}

	/** Returns the target of a request, or undefined where `find` throws. */
	peek(method: string | undefined, path: string): Target | undefined {
		try {
			return this.find(method, path).target;
		} catch {
			return undefined;
		}
	}

	/** Lists all routes; system endpoints have no contract. */
	list(): { readonly method: string; readonly path: string; readonly contract?: Published }[] {
		const own = Object.keys(this.#endpoints).map((endpoint) => ({
			method: split(endpoint)[0],
			path: split(endpoint)[1],
		}));
		const actions = [...this.#known.values()].flatMap((contract) => {
			const [method, path] = split(contract.rest);
			return [method, ...(contract.also ?? [])].map((verb) => ({
				method: verb,
				path: `/api${path}`,
				contract,
			}));
		});
		return [...own, ...actions];
	}

	allow(path: string): string[] {
		return this.#router.allow(path);
	}
}

/** Returns a path without its last segment. */
export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

function split(route: string): [method: string, path: string] {
	const [, method, path] = ROUTE.exec(route)!;
	return [method!, path!];
}
