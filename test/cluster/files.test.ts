import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeAdmin } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type Pairs, startPairs } from "../support/pairs.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "files in a cluster", () => {
	let pairs: Pairs;
	beforeAll(async () => {
		pairs = await startPairs();
	}, 120_000);
	afterAll(() => pairs?.cluster.stop());

	const count = async () => {
		const [row] = await pairs.cluster.databases.query<{ rows: string; skus: string }>(
			"products",
			"select count(*) as rows, count(distinct sku) as skus from products where sku ~ '^KILL-'",
		);
		return [Number(row!.rows), Number(row!.skus)];
	};

	test("an import survives the death of a node of the products service", async () => {
		const rows = 10_000;
		const { http } = pairs.gateways()[0]!;
		const { token } = await makeAdmin({ http, call: pairs.cluster.call });
		const lines = Array.from({ length: rows }, (_, i) => `KILL-${i},Name ${i},1,Killed,${i}\n`);
		const importing = http("POST /api/products/import", {
			token,
			body: `sku,name,price,category,stock\n${lines.join("")}`,
			headers: { "content-type": "text/csv" },
		});
		await eventually(async () => expect((await count())[0]).toBeGreaterThan(0));
		await pairs.nodes("goods")[0]!.process.kill();
		const { status, body } = await importing;
		const summary = JSON.parse(body.trim().split("\n").at(-1));
		expect([status, summary]).toMatchObject([200, { done: true, updated: 0, failed: 0 }]);
		// A batch whose result was lost is reported as unchanged.
		expect(summary.created + summary.unchanged).toBe(rows);
		expect(await count()).toEqual([rows, rows]);
		const [last] = (await http("GET /api/products?q=KILL-9999")).body;
		const { body: stock } = await http(`GET /api/inventory/${last.id}`);
		expect(stock.on_hand).toBe(9999);
	}, 120_000);
});
