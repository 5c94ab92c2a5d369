import { resourceMissing } from "./errors.ts";
import type { Form } from "./form.ts";
import { integer, nested, text } from "./params.ts";

/** Parameters of every list. */
export const LIST_PARAMS = ["limit", "starting_after", "ending_before", "created"] as const;

interface Listed {
	readonly id: string;
	readonly created: number;
}
const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;

/**
 * A page of a list, newest first, https://docs.stripe.com/api/pagination.
 * @param objects in the order of their creation
 * @throws ApiError for an invalid parameter, or a cursor that names no object
 */
export function page<T extends Listed>(objects: Iterable<T>, form: Form, url: string) {
	const created = createdFilter(form);
	const newestFirst = [...objects].reverse();
	const limit = integer(form, "limit", { min: 1, max: MAX_LIMIT }) ?? DEFAULT_LIMIT;
	const after = text(form, "starting_after");
	const before = text(form, "ending_before");
	const position = (id: string, param: string) => {
		const index = newestFirst.findIndex((object) => object.id === id);
		if (index < 0) throw resourceMissing("object", id, param, 400);
		return index;
	};
	const list = (data: T[], has_more: boolean) => ({ object: "list", url, has_more, data });
	if (before !== undefined) {
		const matching = newestFirst.slice(0, position(before, "ending_before")).filter(created);
		return list(matching.slice(-limit), matching.length > limit);
	}
	const start = after === undefined ? 0 : position(after, "starting_after") + 1;
	const matching = newestFirst.slice(start).filter(created);
	return list(matching.slice(0, limit), matching.length > limit);
}

/** The filter `created`: a time in seconds, or a range with gt, gte, lt and lte. */
function createdFilter(form: Form): (object: Listed) => boolean {
	if (typeof form.created === "string") {
		const exact = integer(form, "created");
		return ({ created }) => created === exact;
	}
	const range = nested(form, "created") ?? {};
	const [gt, gte, lt, lte] = ["gt", "gte", "lt", "lte"].map((name) => integer(range, name));
	return ({ created }) =>
		(gt === undefined || created > gt) &&
		(gte === undefined || created >= gte) &&
		(lt === undefined || created < lt) &&
		(lte === undefined || created <= lte);
}
