import { expect, test } from "@jest/globals";
import { filtersOf } from "./filters.ts";

test("filters convert the state, shorten the search and ignore invalid values", () => {
	const of = (text: string) => filtersOf(new URLSearchParams(text));
	expect(of("q=%20ada%20&role=admin&active=false&page=2")).toEqual({
		q: "ada",
		role: "admin",
		is_active: false,
	});
	expect(of("active=true")).toEqual({ is_active: true });
	expect(of("q=%20&role=odd&active=1")).toEqual({});
	expect(of(`q=${"a".repeat(200)}`)).toEqual({ q: "a".repeat(100) });
});
