import { expect, test } from "@jest/globals";
import { chaos } from "../../tools/chaos/run.ts";
import { describeWith } from "../support/servers.ts";

/** Kills a node and Postgres, and pauses a node. */
const [SEED, SECONDS] = [15, 6];

describeWith(["nats-server", "redis-server"], "a short chaos run", () => {
	test("violates no invariant while nodes and servers are killed and paused", async () => {
		const { findings, faults, orders, thefts } = await chaos({
			seconds: SECONDS,
			seed: SEED,
			buyers: 6,
			size: { edge: 1, orders: 2, goods: 1, money: 1 },
			// The run ends once everything has settled, which takes long on a busy machine.
			settleSeconds: 120,
			print: () => undefined,
			onProgress: () => undefined,
		});
		expect(findings).toEqual([]);
		expect(faults.length).toBeGreaterThan(1);
		expect(thefts).toBeGreaterThan(0);
		expect(Object.values(orders).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0);
	});
});
