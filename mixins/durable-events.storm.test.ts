import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { makeDatabases } from "../test/support/databases.ts";
import { describeWith } from "../test/support/servers.ts";
import { storm } from "../tools/event-storm/run.ts";
import { ALL_GROUPS } from "../tools/event-storm/services.ts";
import { violations } from "../tools/event-storm/violations.ts";

describeWith(["nats-server"], "event storm", () => {
	test("every event takes effect once in every group despite kills and losses", async () => {
		const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-storm-"));
		const databases = await makeDatabases(["orders", ...ALL_GROUPS]);
		try {
			const { pattern, query } = databases;
			const result = await storm({
				events: 1000,
				seconds: 8,
				seed: 4,
				pattern,
				query,
				folder,
				onProgress: () => undefined,
			});
			expect(result).toMatchObject({ violations: [], written: 1000, poison: 4, replayed: 1000 });
			expect(result.kills).toBeGreaterThan(0);
		} finally {
			await databases.drop();
			await rm(folder, { recursive: true, force: true, maxRetries: 10 });
		}
	});
});

test("the violations are lost, duplicated, invented and needlessly dead events", () => {
	const groups = [
		{ name: "well", effects: ["a", "b"], dead: ["p"] },
		{ name: "ill", effects: ["b", "b", "p", "x"], dead: ["b"] },
	];
	expect(violations({ written: ["a", "b", "p"], poison: new Set(["p"]), groups })).toEqual([
		"ill: a took effect 0 times instead of 1",
		"ill: b took effect 2 times instead of 1",
		"ill: b is a dead letter",
		"ill: p took effect 1 times instead of 0",
		"ill: p is poison but not a dead letter",
		"ill: x is not in the outbox",
	]);
});
