import { expect, test } from "@jest/globals";
import { version } from "uuid";
import { firstIdAt, newId } from "./id.ts";

test("IDs are UUIDs of version 7 that increase, also within a millisecond", () => {
	const ids = Array.from({ length: 5000 }, newId);
	expect(ids.every((id) => version(id) === 7)).toBe(true);
	expect(new Set(ids).size).toBe(ids.length);
	expect([...ids].sort()).toEqual(ids);
});

test("the first ID at a time is between the IDs of earlier and later times", () => {
	const now = Date.now();
	const id = newId();
	expect(firstIdAt(new Date(now - 1)) < id).toBe(true);
	expect(firstIdAt(new Date(Date.now() + 1000)) > id).toBe(true);
	expect(version(firstIdAt(new Date("0001-01-01T00:00:00Z")))).toBe(7);
});
