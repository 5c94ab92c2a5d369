import { afterEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Cluster } from "../support/cluster.ts";
import { cleanUp, runScript } from "../support/program.ts";

/** Tests of `npm run audit`, which requires a cluster. */
export function auditProgram(cluster: () => Cluster): void {
	afterEach(cleanUp);

	const audit = async (...args: string[]) => {
		const program = runScript("audit", cluster().env, { args });
		return { ...(await program.ended), output: program.output() };
	};

	test("prints violations as lines or as JSON and exits with 1", async () => {
		expect(await audit("--all")).toMatchObject({
			code: 0,
			output: expect.stringContaining("no violations"),
		});

		const id = uuid();
		const held = `insert into reservations (order_id, status, product_ids, quantities)
		values ($1, 'held', '{}', '{}')`;
		await cluster().databases.query("inventory", held, [id]);
		const lines = await audit();
		expect(lines).toMatchObject({
			code: 1,
			output: expect.stringMatching(new RegExp(`^RESERVATION_WITHOUT_ORDER +${id}  `)),
		});
		const json = await audit("--json", "--since", "2026-01-01T00:00:00Z");
		expect(json.code).toBe(1);
		expect(JSON.parse(json.output)).toMatchObject({
			violations: [{ invariant: "RESERVATION_WITHOUT_ORDER", subject: id }],
		});
		await cluster().databases.query("inventory", "delete from reservations where order_id = $1", [
			id,
		]);
	});

	test.each([["--since", "yesterday"], ["--since=2026-01-01T00:00:00Z", "--all"], ["--nonsense"]])(
		"prints its usage for invalid arguments: %j",
		async (...args) => {
			expect(await audit(...args.filter(Boolean))).toMatchObject({
				code: 1,
				errors: expect.stringContaining("npm run audit"),
			});
		},
	);
}
