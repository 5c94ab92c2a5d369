import { rejected } from "./errors.ts";
import type { State } from "./state.ts";

type Fields = Record<string, unknown>;

/**
 * Replaces ids in a response by their objects, https://docs.stripe.com/api/expanding_objects.
 * @param paths for example `latest_charge`, or `data.latest_charge` for a list
 * @throws ApiError for a field that contains no id
 */
export function expand(response: object, paths: readonly string[], state: State): object {
	return paths.reduce<object>(
		(expanded, path) => expandPath(expanded as Fields, path.split("."), path, state),
		response,
	);
}

function expandPath(
	object: Fields,
	[field, ...rest]: string[],
	path: string,
	state: State,
): Fields {
	const value = object[field!];
	if (value === null) return object;
	const target = typeof value === "string" ? objectOf(value, state) : value;
	if (typeof target !== "object" || target === null)
		throw rejected(`This property cannot be expanded (${path}).`, { param: "expand" });
	const expandRest = (one: unknown) =>
		rest.length === 0 ? one : expandPath(one as Fields, rest, path, state);
	return {
		...object,
		[field!]: Array.isArray(target) ? target.map(expandRest) : expandRest(target),
	};
}

const objectOf = (id: string, { intents, charges, refunds, disputes, methods }: State) =>
	[intents, charges, refunds, disputes, methods].map((map) => map.get(id)).find(Boolean);
