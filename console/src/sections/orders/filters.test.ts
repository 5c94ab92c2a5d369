import { expect, test } from "@jest/globals";
import { filtersOf, searchOf } from "./filters.ts";

test("a search selects all orders, one order by its ID, or those of an e-mail address", () => {
	const id = "019A2237-8132-7211-ba3a-3cfabf409c25";
	expect(searchOf(" ")).toEqual({ by: "all" });
	expect(searchOf(` ${id} `)).toEqual({ by: "id", id: id.toLowerCase() });
	expect(searchOf("ada@example.com")).toEqual({ by: "email", email: "ada@example.com" });
	for (const text of ["019a2237", "ada@", "ada@example", "ada b@example.com"])
		expect(searchOf(text)).toEqual({ by: "incomplete" });
});

test("filters convert local times to UTC, and ignore invalid values", () => {
	const of = (text: string) => filtersOf(new URLSearchParams(text));
	const from = new Date(2030, 0, 31, 12).toISOString();
	expect(of("status=shipped&from=2030-01-31T12:00&page=2")).toEqual({ status: "shipped", from });
	expect(of("status=odd&from=x&to=")).toEqual({});
});
