import { expect, test } from "@jest/globals";
import { breakingChanges } from "./compatibility.ts";
import { type ActionContract, type Contract, contract } from "./contract.ts";
import { list, object, type Rule, type Shape } from "./schema.ts";

function tags(
	{ max = 5, key = 9, text = 9 } = {},
	...types: ("number" | "boolean")[]
): Rule & { readonly type: "record" } {
	const rules = [{ type: "string", max: text } as const, ...types.map((type) => ({ type }))];
	return {
		type: "record",
		key: { type: "string", max: key },
		value: { type: "multi", rules },
		max,
	};
}
const released = contract({
	name: "shelves",
	actions: {
		put: {
			rest: "POST /shelves",
			also: ["PUT"],
			auth: "user",
			status: 201,
			idempotent: true,
			params: {
				name: { type: "string", max: 100 },
				colour: { type: "enum", values: ["red", "blue"], default: "red" },
				books: list(
					object({ title: { type: "string" }, pages: { type: "number", min: 1, convert: true } }),
					{ max: 10 },
				),
				note: { type: "string", nullable: true, optional: true },
				tags: tags({}, "number"),
			},
			returns: object({
				id: { type: "uuid" },
				books: list(object({ title: { type: "string" } })),
				size: { type: "number", integer: true },
			}),
		},
	},
	events: { "shelf.filled": { shelf_id: { type: "uuid" }, books: { type: "number" } } },
	errors: { SHELF_FULL: { status: 409, message: "Full" } },
});
const put = (change: Partial<ActionContract>): Contract => ({
	...released,
	actions: { put: { ...released.actions.put, ...change } as ActionContract },
});
const params = (change: Shape): Contract =>
	put({ params: { ...released.actions.put.params, ...change } });
const returns = (change: Shape): Contract =>
	put({ returns: object({ ...released.actions.put.returns.props, ...change }) });
const without = (shape: Shape, field: string): Shape =>
	Object.fromEntries(Object.entries(shape).filter(([name]) => name !== field));
const title = { type: "string" } as const;

test.each<[string, Contract]>([
	["no change", released],
	[
		"a new action, event, error or result",
		{
			...returns({ owner: { type: "uuid" } }),
			actions: {
				...returns({ owner: { type: "uuid" } }).actions,
				get: { params: {}, returns: { type: "any" } },
			},
			events: { ...released.events, "shelf.emptied": { shelf_id: { type: "uuid" } } },
			errors: { ...released.errors, SHELF_GONE: { status: 404, message: "Gone" } },
		},
	],
	[
		"a new optional parameter",
		params({ wood: { type: "string", optional: true }, depth: { type: "number", default: 30 } }),
	],
	[
		"wider limits and more values",
		params({
			name: { type: "string", max: 200 },
			colour: { type: "enum", values: ["red", "blue", "green"], default: "blue" },
			tags: tags({ max: 6, key: 10, text: 10 }, "boolean", "number"),
		}),
	],
	[
		"another type beside the former one",
		params({
			name: {
				type: "multi",
				rules: [
					{ type: "string", max: 100 },
					{ type: "object", props: { title: { type: "string" } } },
				],
			},
		}),
	],
	[
		"a parameter that becomes optional",
		params({ name: { type: "string", max: 100, optional: true } }),
	],
	[
		"another summary and message",
		{ ...put({ summary: "Put" }), errors: { SHELF_FULL: { status: 409, message: "No room" } } },
	],
	["less strict access", put({ auth: "anyone" })],
	[
		"an optional field of an event",
		{
			...released,
			events: {
				"shelf.filled": {
					...released.events["shelf.filled"],
					at: { type: "time", optional: true },
				},
			},
		},
	],
])("breakingChanges accepts %s", (_, present) => {
	expect(breakingChanges([released], [present])).toEqual([]);
});

test.each<[string, Contract | undefined]>([
	["shelves: the service was removed", undefined],
	["shelves.put: the action was removed", { ...released, actions: {} }],
	["shelf.filled: the event was removed", { ...released, events: {} }],
	["shelves SHELF_FULL: the error was removed", { ...released, errors: {} }],
	[
		"shelves SHELF_FULL: status was 409 and is 422",
		{ ...released, errors: { SHELF_FULL: { status: 422, message: "Full" } } },
	],
	["shelves.put: rest was POST /shelves and is POST /racks", put({ rest: "POST /racks" })],
	["shelves.put: PUT was removed", put({ also: [] })],
	["shelves.put: auth was user and is admin", put({ auth: "admin" })],
	["shelves.put: status was 201 and is 202", put({ status: 202 })],
	[
		"shelves.put params.name: the field was removed",
		put({ params: without(released.actions.put.params, "name") }),
	],
	["shelves.put params.wood: new required field", params({ wood: { type: "string" } })],
	[
		"shelves.put params.note: was optional and is required",
		params({ note: { type: "string", nullable: true } }),
	],
	[
		"shelves.put params.note: no longer accepts null",
		params({ note: { type: "string", optional: true } }),
	],
	["shelves.put params.name: type was string and is email", params({ name: { type: "email" } })],
	["shelves.put params.name: max was 100 and is 50", params({ name: { type: "string", max: 50 } })],
	[
		"shelves.put params.name: pattern was not limited and is ^a",
		params({ name: { type: "string", max: 100, pattern: "^a" } }),
	],
	[
		"shelves.put params.colour: the value blue was removed",
		params({ colour: { type: "enum", values: ["red"], default: "red" } }),
	],
	[
		"shelves.put params.books[].pages: min was 1 and is 2",
		params({ books: books({ pages: { type: "number", min: 2, convert: true } }) }),
	],
	[
		"shelves.put params.books[].pages: no longer accepts text",
		params({ books: books({ pages: { type: "number", min: 1 } }) }),
	],
	[
		"shelves.put params.books[].pages: no longer accepts fractions",
		params({ books: books({ pages: { type: "number", integer: true, min: 1, convert: true } }) }),
	],
	["shelves.put params.tags: max was 5 and is 4", params({ tags: tags({ max: 4 }, "number") })],
	[
		"shelves.put params.tags{key}: max was 9 and is 8",
		params({ tags: tags({ key: 8 }, "number") }),
	],
	["shelves.put params.tags{}: max was 9 and is 8", params({ tags: tags({ text: 8 }, "number") })],
	["shelves.put params.tags{}: the type number was removed", params({ tags: tags() })],
	[
		"shelves.put params.books: max was 10 and is 5",
		params({ books: { ...released.actions.put.params.books, max: 5 } }),
	],
	[
		"shelves.put returns.id: the field was removed",
		put({ returns: object(without(released.actions.put.returns.props, "id")) }),
	],
	["shelves.put returns.id: may now be null", returns({ id: { type: "uuid", nullable: true } })],
	[
		"shelves.put returns.id: was required and is optional",
		returns({ id: { type: "uuid", optional: true } }),
	],
	["shelves.put returns.size: may now have a fraction", returns({ size: { type: "number" } })],
	[
		"shelves.put returns.books[].title: the field was removed",
		returns({ books: list(object({})) }),
	],
	[
		"shelf.filled.books: the field was removed",
		{ ...released, events: { "shelf.filled": { shelf_id: { type: "uuid" } } } },
	],
	[
		"shelf.filled.at: new field that is not optional, but existing events lack it",
		{
			...released,
			events: { "shelf.filled": { ...released.events["shelf.filled"], at: { type: "time" } } },
		},
	],
])("breakingChanges reports: %s", (line, present) => {
	expect(breakingChanges([released], present ? [present] : [])).toEqual([line]);
});

function books(change: Record<string, Rule>): Rule {
	return list(object({ title, ...change }), { max: 10 });
}
