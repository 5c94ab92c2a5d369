import { expect, test } from "@jest/globals";
import { etagOf, isEntityTagList, matchesEtag } from "./etag.ts";

test("a tag changes with every field, and not with their order", () => {
	expect(etagOf({ a: 1, b: "2" })).toBe(etagOf({ b: "2", a: 1 }));
	expect(etagOf({ a: 1, b: "2" })).not.toBe(etagOf({ a: 1, b: 2 }));
	expect(etagOf({ a: 1 })).toMatch(/^"[\w-]{27}"$/);
});

test("a header names tags one by one, or all of them", () => {
	expect(matchesEtag('"a", "b"', '"b"', "strong")).toBe(true);
	expect(matchesEtag("*", '"b"', "strong")).toBe(true);
	expect(matchesEtag('"a"', '"b"', "weak")).toBe(false);
	expect(matchesEtag('W/"b"', '"b"', "weak")).toBe(true);
	expect(matchesEtag('W/"b"', '"b"', "strong")).toBe(false);
});

test("what is no list of tags is told from one", () => {
	for (const good of ["*", '"a"', 'W/"a"', '"a", W/"b" ,"c"', '""'])
		expect(isEntityTagList(good)).toBe(true);
	for (const bad of ["", "a", '"a', '"a" "b"', '"a",', 'w/"a"', '"a\nb"', `"${"x".repeat(1000)}"`])
		expect(isEntityTagList(bad)).toBe(false);
});
