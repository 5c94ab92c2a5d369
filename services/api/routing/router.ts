import findMyWay from "find-my-way";
import { commonError } from "../../../lib/contracts/errors.ts";

/** Target of one method of a path. */
interface Endpoint<T> {
	readonly target: T;
	/** Names of the path's parameters, where they differ from those of the path's first route. */
	readonly names?: readonly string[];
}
/** Routes of one path. */
interface PathRoutes<T> {
	/** Names of the parameters, from left to right. */
	readonly names: readonly string[];
	readonly methods: Map<string, Endpoint<T>>;
}
interface Located<T> {
	readonly store: PathRoutes<T>;
	readonly params: Record<string, string>;
}
export interface Match<T> {
	readonly target: T;
	readonly params: Record<string, string>;
}

const SLASH = "/".charCodeAt(0);
/** All paths are in one tree, whatever their methods; find-my-way has a tree for each method. */
const TREE = "GET";
const unused = () => undefined;

/**
 * Maps a method and a path to a target (docs/adr/0022-gateway-router.md). A static segment takes
 * precedence over a parameter, whatever the method: PATCH /users/me is never PATCH /users/:id.
 */
export class Router<T> {
	readonly #paths = findMyWay({
		// node:http limits the length of a request's head, and so that of a parameter.
		maxParamLength: Number.POSITIVE_INFINITY,
		// Paths have no query.
		querystringParser: unused as () => never,
	});

	/** @returns false if another target already has this method and path; that target stays */
	add(method: string, path: string, target: T): boolean {
		const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
		const known = this.#paths.findRoute(TREE, path)?.store as PathRoutes<T> | undefined;
		if (!known) {
			const methods = new Map([[method, { target }]]);
			this.#paths.on(TREE, path, unused, { names, methods } satisfies PathRoutes<T>);
			return true;
		}
		if (known.methods.has(method)) return false;
		const sameNames = names.every((name, i) => name === known.names[i]);
		known.methods.set(method, sameNames ? { target } : { target, names });
		return true;
	}

	/**
	 * Returns the target and the decoded parameters. HEAD finds the target of GET; without a method,
	 * any target of the path is found.
	 * @throws ROUTE_NOT_FOUND, also for a path with malformed percent-encoding; METHOD_NOT_ALLOWED
	 * with the allowed methods in `allow`
	 */
	find(method: string | undefined, path: string): Match<T> {
		const found = this.#locate(path);
		if (!found) throw commonError("ROUTE_NOT_FOUND");
		const { methods, names } = found.store;
		const endpoint =
			method === undefined
				? methods.values().next().value
				: methods.get(method === "HEAD" ? "GET" : method);
		if (!endpoint) throw commonError("METHOD_NOT_ALLOWED", { allow: allowed(methods) });
		return {
			target: endpoint.target,
			params: endpoint.names ? renamed(found.params, names, endpoint.names) : found.params,
		};
	}

	/** Returns the methods of a path; only OPTIONS if the path has no route. */
	allow(path: string): string[] {
		return allowed(this.#locate(path)?.store.methods ?? new Map());
	}

	#locate(path: string): Located<T> | undefined {
		// find-my-way would remove a scheme and host.
		if (path.charCodeAt(0) !== SLASH) return undefined;
		// find-my-way would end the path at a fragment, which no request contains (RFC 9110, 4.2.1).
		const found = this.#paths.find(TREE, path.includes("#") ? path.replaceAll("#", "%23") : path);
		if (!found) return undefined;
		// find-my-way accepts an empty segment as the value of a parameter.
		for (const name in found.params) if (found.params[name] === "") return undefined;
		return found as Located<T>;
	}
}

const allowed = (methods: ReadonlyMap<string, unknown>): string[] => [
	...[...methods.keys()]
		.sort()
		.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])),
	"OPTIONS",
];

const renamed = (
	params: Record<string, string>,
	from: readonly string[],
	to: readonly string[],
): Record<string, string> => Object.fromEntries(to.map((name, i) => [name, params[from[i]!]!]));
