import { expect, test } from "@jest/globals";
import { BUGS, type Bug, type ProfileName } from "../../tools/chaos/profiles.ts";
import { chaos } from "../../tools/chaos/run.ts";
import { describeWith } from "../support/servers.ts";

const run = async (options: { bug?: Bug; faults?: ProfileName; settleSeconds?: number }) => {
	const { findings } = await chaos({
		seconds: 4,
		seed: 7,
		buyers: 12,
		size: { edge: 1, orders: 2, goods: 2, money: 1 },
		print: () => undefined,
		onProgress: () => undefined,
		...options,
	});
	return [...new Set(findings.map(({ invariant }) => invariant))];
};

describeWith(["nats-server", "redis-server"], "chaos faults", () => {
	test.each(Object.keys(BUGS) as Bug[])(
		"detect the injected bug %s",
		async (bug) => {
			expect(await run({ bug, settleSeconds: 5 })).toContain(BUGS[bug].breaks);
		},
		120_000,
	);

	test.each([
		...new Set<ProfileName>([...Object.values(BUGS).map(({ faults }) => faults), "large"]),
	])(
		"report nothing without a bug: %s",
		async (faults) => {
			expect(await run({ faults })).toEqual([]);
		},
		120_000,
	);
});
