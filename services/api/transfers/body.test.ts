import { Readable } from "node:stream";
import { expect, test } from "@jest/globals";
import type { Request } from "../http/exchange.ts";
import { bodyOf } from "./body.ts";
import { distinctRows } from "./distinct-rows.ts";
import { UploadReport } from "./upload-report.ts";

test("lets other work take its turn while a body is processed without a wait", async () => {
	const req = Object.assign(Readable.from([Buffer.alloc(200_000)]), { headers: {} });
	let turns = 0;
	const turn = () => {
		turns++;
		timer = setImmediate(turn);
	};
	let timer = setImmediate(turn);
	const seen: number[] = [];
	for await (const part of bodyOf(req as unknown as Request, new AbortController().signal)) {
		expect(part.length).toBeLessThanOrEqual(8192);
		seen.push(turns);
		const until = performance.now() + 11;
		while (performance.now() < until);
	}
	clearImmediate(timer);
	// Each part takes longer than the limit, so at least one turn follows it.
	expect(new Set(seen).size).toBe(seen.length);
});

test("does not keep keys that are too long for a valid row", async () => {
	const key = "x".repeat(201);
	const entries = ["a", "a", key, key].map((sku, i) => ({ row: i + 1, value: { sku } }));
	const report = new UploadReport("sku");
	const rows: number[] = [];
	const groups = (async function* () {
		yield entries;
	})();
	for await (const group of distinctRows(groups, [], "sku", report))
		rows.push(...group.map(({ row }) => row));
	// The action rejects the rows with long keys, so that none is applied twice.
	expect(rows).toEqual([1, 3, 4]);
});
