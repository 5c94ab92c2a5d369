import { expect, test } from "@jest/globals";
import { version } from "uuid";
import { newId } from "./id.ts";

test("ids are UUIDs of version 7 that grow, however many are made at once", () => {
	const ids = Array.from({ length: 5000 }, newId);
	expect(ids.every((id) => version(id) === 7)).toBe(true);
	expect(new Set(ids).size).toBe(ids.length);
	expect([...ids].sort()).toEqual(ids);
});
