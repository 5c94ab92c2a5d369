import { expect, test } from "@jest/globals";
import { batchedLookup } from "./batched-lookup.ts";

const rows = new Map(["a", "b", "c"].map((id) => [id, { id }]));

/** A lookup of these rows, with the IDs of each call. */
function recordedLookup() {
	const calls: string[][] = [];
	const find = batchedLookup(async (ids: string[]) => {
		calls.push(ids);
		return ids.map((id) => rows.get(id) ?? null);
	});
	return { calls, find };
}

test("concurrent lookups share a call with each ID once", async () => {
	const { calls, find } = recordedLookup();
	const found = await Promise.all([find(["a", "b"]), find(["c", "a"]), find([]), find(["x", "b"])]);
	expect(calls).toEqual([["a", "b", "c", "x"]]);
	expect(found).toEqual([
		[{ id: "a" }, { id: "b" }],
		[{ id: "c" }, { id: "a" }],
		[],
		[null, { id: "b" }],
	]);
});

test("a call contains at most 10,000 IDs", async () => {
	const { calls, find } = recordedLookup();
	const ids = (start: number) => Array.from({ length: 4000 }, (_, i) => String(start + i));
	await Promise.all([0, 4000, 8000].map((start) => find(ids(start))));
	expect(calls.map(({ length }) => length)).toEqual([8000, 4000]);
});

test("a failed call fails only the lookups that need it", async () => {
	const find = batchedLookup(async (ids: string[]) => {
		if (ids.includes("bad")) throw new Error("bad");
		return ids.map((id) => rows.get(id) ?? null);
	});
	const results = await Promise.allSettled([find(["a"]), find(["bad"])]);
	expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});
