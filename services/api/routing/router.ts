import { commonError } from "../../../lib/contracts/errors.ts";

interface Endpoint<T> {
	readonly target: T;
	/** Names of the path's parameters, from left to right. */
	readonly names: readonly string[];
}
type Methods<T> = Map<string, Endpoint<T>>;
/** A place in the tree of segments; `methods` is empty where no route ends. */
interface Branch<T> {
	readonly fixed: Map<string, Branch<T>>;
	parameter?: Branch<T>;
	readonly methods: Methods<T>;
}
export interface Match<T> {
	readonly target: T;
	readonly params: Record<string, string>;
}

const branch = <T>(): Branch<T> => ({ fixed: new Map(), methods: new Map() });
const segments = (path: string): string[] => path.split("/").slice(1);

/**
 * Finds what a method and a path lead to, in as many steps as the path has segments. A fixed segment wins over a parameter, so /users/me is
 * never taken for /users/:id.
 */
export class Router<T> {
	readonly #root = branch<T>();

	/** @returns false if another target has this method and path already; that one stays */
	add(method: string, path: string, target: T): boolean {
		let at = this.#root;
		const names: string[] = [];
		for (const segment of segments(path)) {
			if (segment.startsWith(":")) {
				names.push(segment.slice(1));
				at.parameter ??= branch();
				at = at.parameter;
			} else {
				const next = at.fixed.get(segment) ?? branch<T>();
				at.fixed.set(segment, next);
				at = next;
			}
		}
		if (at.methods.has(method)) return false;
		at.methods.set(method, { target, names });
		return true;
	}

	/**
	 * HEAD is answered like GET; without a method any target of the path will do.
	 * @throws ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED with `allow`
	 */
	find(method: string | undefined, path: string): Match<T> {
		const values: string[] = [];
		const { methods } = locate(this.#root, decode(path), 0, values) ?? branch<T>();
		if (methods.size === 0) throw commonError("ROUTE_NOT_FOUND");
		const endpoint =
			method === undefined
				? [...methods.values()][0]
				: methods.get(method === "HEAD" ? "GET" : method);
		if (!endpoint) throw commonError("METHOD_NOT_ALLOWED", { allow: allowed(methods) });
		return {
			target: endpoint.target,
			params: Object.fromEntries(endpoint.names.map((name, i) => [name, values[i]!])),
		};
	}

	/** The methods that a path takes. */
	allow(path: string): string[] {
		return allowed(locate(this.#root, decode(path), 0, [])?.methods ?? new Map());
	}
}

const allowed = (methods: Methods<unknown>): string[] => [
	...[...methods.keys()]
		.sort()
		.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])),
	"OPTIONS",
];

/** A path in which a percent sign means nothing leads nowhere. */
function decode(path: string): string[] {
	try {
		return segments(path).map((segment) =>
			segment.includes("%") ? decodeURIComponent(segment) : segment,
		);
	} catch {
		throw commonError("ROUTE_NOT_FOUND");
	}
}

/** Where the path ends; `values` receives what stands in place of the parameters. Goes back where a fixed segment led nowhere. */
function locate<T>(
	at: Branch<T>,
	path: readonly string[],
	depth: number,
	values: string[],
): Branch<T> | undefined {
	if (depth === path.length) return at.methods.size > 0 ? at : undefined;
	const segment = path[depth]!;
	const fixed = at.fixed.get(segment);
	const found = fixed && locate(fixed, path, depth + 1, values);
	if (found || !at.parameter || segment === "") return found;
	values.push(segment);
	const below = locate(at.parameter, path, depth + 1, values);
	if (!below) values.pop();
	return below;
}
