import { expect, test } from "@jest/globals";
import { closestWord, editDistance } from "./products.spelling.rules.ts";

test.each([
	["", "", 0],
	["mug", "mug", 0],
	["", "mug", 3],
	["mug", "", 3],
	["kitchn", "kitchen", 1],
	["kitchenn", "kitchen", 1],
	["kitcken", "kitchen", 1],
	["kicthen", "kitchen", 1],
	["nkife", "knife", 1],
	["ca", "abc", 3],
	["bamboo", "board", 5],
])("%j and %j differ by %i edits", (a, b, edits) => {
	expect(editDistance(a, b)).toBe(edits);
	expect(editDistance(b, a)).toBe(edits);
});

test("the closest word has the fewest edits, fewer for a short word", () => {
	expect(closestWord("kitchn", ["kitten", "kitchen"])).toBe("kitchen");
	expect(closestWord("lamb", ["lamp", "lame"])).toBe("lamp");
	expect(closestWord("mgu", ["mug"])).toBeUndefined();
	expect(closestWord("tabel", ["cable", "table"])).toBe("table");
	expect(closestWord("tabel", ["marble"])).toBeUndefined();
	expect(closestWord("anything", [])).toBeUndefined();
});
