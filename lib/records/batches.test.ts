import { expect, test } from "@jest/globals";
import { batchesOf } from "./batches.ts";

async function* sizes(...values: number[]) {
	yield values.slice(0, 4);
	yield [];
	yield values.slice(4);
}
const collect = async <T>(batches: AsyncIterable<T>): Promise<T[]> => {
	const all: T[] = [];
	for await (const batch of batches) all.push(batch);
	return all;
};
const limits = { rows: 3, bytes: 10, ms: 60_000 };

test("ends a batch at the limit of rows or bytes", async () => {
	const batches = await collect(batchesOf(sizes(1, 1, 1, 1, 6, 5, 5, 20, 1), (n) => n, limits));
	expect(batches).toEqual([[1, 1, 1], [1, 6], [5, 5], [20], [1]]);
});

test("returns no batch without elements", async () => {
	expect(await collect(batchesOf(sizes(), (n) => n, limits))).toEqual([]);
});

test("returns an incomplete batch while the sender pauses", async () => {
	const gate = Promise.withResolvers<void>();
	async function* paused() {
		yield [1];
		await gate.promise;
		yield [2];
	}
	const batches = batchesOf(paused(), () => 1, { ...limits, ms: 1 });
	expect((await batches.next()).value).toEqual([1]);
	gate.resolve();
	expect((await batches.next()).value).toEqual([2]);
	expect((await batches.next()).done).toBe(true);
});

test("requests no element before the previous batch has been taken", async () => {
	let requested = 0;
	async function* counting() {
		for (;;) yield [++requested];
	}
	const batches = batchesOf(counting(), () => 1, limits);
	await batches.next();
	expect(requested).toBeLessThanOrEqual(limits.rows + 1);
	await batches.return(undefined);
});

test("forwards an error of the source", async () => {
	async function* broken() {
		yield [1];
		throw new Error("broken");
	}
	await expect(collect(batchesOf(broken(), () => 1, limits))).rejects.toThrow("broken");
});
