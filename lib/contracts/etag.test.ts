import { expect, test } from "@jest/globals";
import { etagOf, isEntityTagList, matchesEtag } from "./etag.ts";

test("etagOf depends on all fields and not on their order", () => {
	expect(etagOf({ a: 1, b: "2" })).toBe(etagOf({ b: "2", a: 1 }));
	expect(etagOf({ a: 1, b: "2" })).not.toBe(etagOf({ a: 1, b: 2 }));
	expect(etagOf({ a: 1 })).toMatch(/^"[\w-]{27}"$/);
});

test("matchesEtag finds a tag in a list and accepts the wildcard", () => {
	expect(matchesEtag('"a", "b"', '"b"', "strong")).toBe(true);
	expect(matchesEtag("*", '"b"', "strong")).toBe(true);
	expect(matchesEtag('"a"', '"b"', "weak")).toBe(false);
	expect(matchesEtag('W/"b"', '"b"', "weak")).toBe(true);
	expect(matchesEtag('W/"b"', '"b"', "strong")).toBe(false);
});

test("isEntityTagList accepts lists of entity tags only", () => {
	for (const good of ["*", '"a"', 'W/"a"', '"a", W/"b" ,"c"', '""'])
		expect(isEntityTagList(good)).toBe(true);
	for (const bad of ["", "a", '"a', '"a" "b"', '"a",', 'w/"a"', '"a\nb"', `"${"x".repeat(1000)}"`])
		expect(isEntityTagList(bad)).toBe(false);
});
