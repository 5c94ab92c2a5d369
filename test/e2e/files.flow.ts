import { expect, test } from "@jest/globals";
import type { Customer } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { type AnyShop, useShop } from "./shape.ts";

type Files = Pick<AnyShop, "call" | "http" | "stop">;

export function files(open: () => Promise<Files>): void {
	let shop: Files;
	let admin: Customer;
	useShop(open, (...started) => {
		[shop, admin] = started;
	});

	type Format = "csv" | "ndjson";
	/** Imports a file. @returns its summary, which follows the progress */
	async function importFile(file: string, format: Format) {
		const lines = [];
		for await (const line of clientOf(shop, admin).products.importRows(file, { format }))
			lines.push(line);
		const rows = lines.flatMap((line) => ("rows" in line ? line.rows : []));
		expect(rows.length).toBeGreaterThan(0);
		expect(rows).toEqual([...rows].sort((a, b) => a - b));
		const last = lines.at(-1)!;
		if (!("done" in last)) throw new Error("no summary");
		return last;
	}
	const exportFile = async (format: Format): Promise<string> =>
		(await clientOf(shop, admin).products.exportRows({ format })).text();

	// 1,400 products with long descriptions exceed one message in both directions.
	test("imports a file of many batches, reports its errors and exports it", async () => {
		const long = "x".repeat(2000);
		const rows = Array.from({ length: 700 }, (_, i) => [
			`FLOW-${i},,Name ${i},${long}${i},1.5,EUR,Flow/${i % 7},${i % 3},,`,
			`FLOW-${i}-M,FLOW-${i},,,,,,1,M,`,
		]).flat();
		const header =
			"sku,parent_sku,name,description,price,currency,category,stock,options.size,attributes.n";
		const broken = `FLOW-X,,X,,"1,5",EUR,Flow,,,`;
		const file = [header, broken, ...rows].join("\r\n");
		const first = await importFile(file, "csv");
		expect(first).toMatchObject({ done: true, created: 1400, updated: 0, failed: 1 });
		expect(first.errors).toEqual([
			{
				...{ row: 2, sku: "FLOW-X", field: "price" },
				message: expect.stringContaining("1.5, not 1,5"),
			},
		]);
		expect(await importFile(file, "csv")).toMatchObject({ created: 0, unchanged: 1400 });

		for (const format of ["csv", "ndjson"] as const) {
			const exported = await exportFile(format);
			expect(exported.length).toBeGreaterThan(1_400_000);
			const again = await importFile(exported, format);
			expect(again).toMatchObject({ done: true, created: 0, updated: 0, failed: 0 });
			expect(await exportFile(format)).toBe(exported);
		}
	});
}
