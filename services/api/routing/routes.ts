import type { ServiceBroker } from "moleculer";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { Handler, RouteTable, Target } from "../http/exchange.ts";
import type { Published } from "./published.ts";
import { type Match, Router } from "./router.ts";

/** Static segments and parameters that are whole segments (docs/adr/0022-gateway-router.md). */
const ROUTE = /^([A-Z]+) (\/|(?:\/(?::\w+|[^\s/:*?#()]+))+)$/;
/** The name of an action's service. */
export const serviceOf = (action: string): string => action.slice(0, action.lastIndexOf("."));

/**
 * The routes of the live cluster. A route stays known when its service is gone, so that a call is answered with 503 and not with 404; it goes
 * when its service is there without it.
 */
export class Routes implements RouteTable {
	readonly #known = new Map<string, Published>();
	readonly #met = new Set<string>();
	readonly #domains: ReadonlySet<string>;
	readonly #pages: Readonly<Record<string, Handler>>;
	readonly #route: object;
	#router = new Router<Target>();
	/** Grows whenever the routes may have changed. */
	revision = 0;

	/**
	 * @param domains the services that the shop consists of, met or not
	 * @param pages the gateway's own, by "METHOD /path"
	 */
	constructor(domains: readonly string[], pages: Readonly<Record<string, Handler>>, route: object) {
		this.#domains = new Set(domains);
		this.#pages = pages;
		this.#route = route;
	}

	/** Reads what the registry offers now. @returns what is wrong with it, for the log */
	learn(broker: ServiceBroker): string[] {
		const wrong: string[] = [];
		const live = new Set<string>();
		const offered = new Map<string, Published>();
		for (const { name, count, action } of broker.registry.getActionList({ onlyAvailable: false })) {
			if (count === 0) continue;
			live.add(serviceOf(name));
			const { rest, visibility, auth } = (action ?? {}) as Partial<Published> & {
				visibility?: string;
			};
			if (typeof rest !== "string" || visibility !== "published") continue;
			// Left open by mistake is worse than left out.
			if (auth && ROUTE.test(rest)) offered.set(name, action as unknown as Published);
			else
				wrong.push(
					`${name} has the route "${rest}", which is malformed or does not say who may call it`,
				);
		}
		for (const name of this.#known.keys()) if (live.has(serviceOf(name))) this.#known.delete(name);
		for (const [name, action] of offered) this.#known.set(name, action);
		for (const service of live) this.#met.add(service);
		return [...wrong, ...this.#build()];
	}

	#build(): string[] {
		const wrong: string[] = [];
		const router = new Router<Target>();
		const route = this.#route;
		for (const [page, handler] of Object.entries(this.#pages)) {
			const [method, path] = split(page);
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
					wrong.push(`${contract.name} is out of reach: ${verb} ${path} is another's`);
			}
		}
		this.#router = router;
		this.revision++;
		return wrong;
	}

	/** @throws ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED; SERVICE_UNAVAILABLE below the path of a service that was never met: its routes are not known */
	find(method: string | undefined, path: string): Match<Target> {
		try {
			return this.#router.find(method, path);
		} catch (error) {
			const domain = /^\/api\/([^/]+)/.exec(path)?.[1] ?? "";
			throw this.#domains.has(domain) && !this.#met.has(domain)
				? commonError("SERVICE_UNAVAILABLE")
				: error;
		}
	}

	/** The target of a request; undefined where `find` throws. */
	peek(method: string | undefined, path: string): Target | undefined {
		try {
			return this.find(method, path).target;
		} catch {
			return undefined;
		}
	}

	/** What is published now, by method and path as a client writes them; without a contract it is a page of the gateway's own. */
	list(): { readonly method: string; readonly path: string; readonly contract?: Published }[] {
		const own = Object.keys(this.#pages).map((page) => ({
			method: split(page)[0],
			path: split(page)[1],
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

/** A path without its last segment. */
export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

function split(route: string): [method: string, path: string] {
	const [, method, path] = ROUTE.exec(route)!;
	return [method!, path!];
}
