import { isDeepStrictEqual } from "node:util";
import { invalidField } from "./errors.ts";

/** @throws VALIDATION_ERROR if an update contains no field */
export function assertNotEmpty(changes: object): void {
	if (Object.keys(changes).length === 0)
		throw invalidField("", "EMPTY", "Name at least one field to change");
}

/** Fields of `changes` whose values differ from those of `current`, at any depth. */
export const changedFields = <Changes extends object>(
	current: { readonly [Field in keyof Changes]?: unknown },
	changes: Changes,
): Changes =>
	Object.fromEntries(
		Object.entries(changes).filter(
			([field, value]) => !isDeepStrictEqual(value, current[field as keyof Changes]),
		),
	) as Changes;
