import { expect, test } from "@jest/globals";
import { version } from "uuid";
import { newId } from "./id.ts";

test("IDs are UUIDs of version 7 that increase, also within a millisecond", () => {
	const ids = Array.from({ length: 5000 }, newId);
	expect(ids.every((id) => version(id) === 7)).toBe(true);
	expect(new Set(ids).size).toBe(ids.length);
	expect([...ids].sort()).toEqual(ids);
});
