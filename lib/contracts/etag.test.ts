import { expect, test } from "@jest/globals";
import { etagOf, isTagList, namesTag } from "./etag.ts";

test("a tag changes with every field, and not with their order", () => {
	expect(etagOf({ a: 1, b: "2" })).toBe(etagOf({ b: "2", a: 1 }));
	expect(etagOf({ a: 1, b: "2" })).not.toBe(etagOf({ a: 1, b: 2 }));
	expect(etagOf({ a: 1 })).toMatch(/^"[\w-]{27}"$/);
});

test("a header names tags one by one, or all of them", () => {
	expect(namesTag('"a", "b"', '"b"', "strong")).toBe(true);
	expect(namesTag("*", '"b"', "strong")).toBe(true);
	expect(namesTag('"a"', '"b"', "weak")).toBe(false);
	expect(namesTag('W/"b"', '"b"', "weak")).toBe(true);
	expect(namesTag('W/"b"', '"b"', "strong")).toBe(false);
});

test("what is no list of tags is told from one", () => {
	for (const good of ["*", '"a"', 'W/"a"', '"a", W/"b" ,"c"', '""'])
		expect(isTagList(good)).toBe(true);
	for (const bad of ["", "a", '"a', '"a" "b"', '"a",', 'w/"a"', '"a\nb"', `"${"x".repeat(1000)}"`])
		expect(isTagList(bad)).toBe(false);
});
