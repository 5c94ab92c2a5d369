import { expect, test } from "@jest/globals";
import { assertNotEmpty, changedFields } from "./changes.ts";

test("an update without fields fails validation", () => {
	expect(() => assertNotEmpty({})).toThrow(expect.objectContaining({ type: "VALIDATION_ERROR" }));
	expect(() => assertNotEmpty({ is_active: false })).not.toThrow();
});

test("only fields that differ from the current ones are changes", () => {
	const current = { name: "Mug", price: 5, description: null };
	expect(changedFields<object>(current, { name: "Mug", price: 6 })).toEqual({ price: 6 });
	expect(changedFields<object>(current, { description: null })).toEqual({});
	const nested = { tags: ["a", "b"], size: { x: 1, y: 2 } };
	expect(changedFields<object>(nested, { tags: ["a", "b"], size: { y: 2, x: 1 } })).toEqual({});
	expect(changedFields<object>(nested, { tags: ["b", "a"] })).toEqual({ tags: ["b", "a"] });
});
