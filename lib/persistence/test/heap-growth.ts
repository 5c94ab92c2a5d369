import { getHeapStatistics } from "node:v8";
import { Database, sql } from "../database.ts";

/*
 * Program that runs queries in a process of its own, and prints by how many MB their results have
 * increased the heap after collections of the young generation only. Usage: `node --expose-gc
 * heap-growth.ts <URL of a database>`.
 */
const collect = globalThis.gc as unknown as (options: { type: "minor" }) => void;
const db = new Database({ url: process.argv[2]!, poolSize: 1 });
const rows = sql("garbage", "select i, repeat('x', 100) as text from generate_series(1, 500) i");

/** Bytes in the heap after queries, whose results have 2.5 MB. */
async function usedAfterQueries(): Promise<number> {
	for (let n = 0; n < 20; n++) await db.query(rows);
	collect({ type: "minor" });
	return getHeapStatistics().used_heap_size;
}
const before = await usedAfterQueries();
let after = before;
for (let n = 0; n < 10; n++) after = await usedAfterQueries();
await db.close();
console.log((after - before) / (1024 * 1024));
