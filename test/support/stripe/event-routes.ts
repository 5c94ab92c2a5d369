import { resourceMissing } from "./errors.ts";
import { LIST_PARAMS, page } from "./lists.ts";
import { assertKnown, list, text } from "./params.ts";
import type { Routes } from "./route.ts";

/** Whether a type matches a filter such as `charge.*`. */
const matches = (filter: string, type: string) =>
	filter.endsWith("*") ? type.startsWith(filter.slice(0, -1)) : type === filter;

export const eventRoutes: Routes = {
	"GET /v1/events": ({ events }, { form, path }) => {
		assertKnown(form, [...LIST_PARAMS, "type", "types"]);
		const type = text(form, "type");
		const filters = type === undefined ? list(form, "types") : [type];
		const found = events.filter(
			(event) => filters?.some((one) => matches(one, event.type)) ?? true,
		);
		return page(found, form, path);
	},
	"GET /v1/events/:id": ({ events }, { form, id }) => {
		assertKnown(form, []);
		const event = events.find((one) => one.id === id);
		if (!event) throw resourceMissing("event", id, "id");
		return event;
	},
};
