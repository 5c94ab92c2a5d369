import { expect, test } from "@jest/globals";
import { match } from "./route-pattern.ts";

test.each([
	["/", "/", {}],
	["/orders", "/orders", {}],
	["/orders/:id", "/orders/a%20b", { id: "a b" }],
	["/orders/:id/edit", "/orders/1/edit", { id: "1" }],
	["/orders/:id", "/orders/", undefined],
	["/orders/:id", "/orders/%ff", undefined],
	["/orders/:id", "/orders", undefined],
	["/orders", "/orders/1", undefined],
	["/orders/new", "/orders/old", undefined],
])("%s and %s match with %j", (pattern, path, params) => {
	expect(match(pattern, path)).toEqual(params);
});
