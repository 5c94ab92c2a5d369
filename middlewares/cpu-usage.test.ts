import { expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { cpuUsage, cpuUsageSampler } from "./cpu-usage.ts";

test("reports the usage of the last complete interval", async () => {
	const readings = [
		[
			{ busy: 0, total: 0 },
			{ busy: 100, total: 1000 },
		],
		[
			{ busy: 50, total: 100 },
			{ busy: 100, total: 1100 },
		],
	];
	let time = 0;
	let taken = 0;
	const sample = cpuUsageSampler(
		() => readings[taken++]!,
		() => time,
	);
	expect(await sample()).toEqual({ avg: 0, usages: [0, 0] });
	time = 4999;
	await sample();
	expect(taken).toBe(1);
	time = 5000;
	expect(await sample()).toEqual({ avg: 25, usages: [50, 0] });
	time = 9999;
	expect(await sample()).toEqual({ avg: 25, usages: [50, 0] });
	expect(taken).toBe(2);
});

test("reports 0 if the clock of a CPU has not advanced", async () => {
	let time = 0;
	const sample = cpuUsageSampler(
		() => [{ busy: 1, total: 1 }],
		() => time,
	);
	time = 5000;
	expect(await sample()).toEqual({ avg: 0, usages: [0] });
});

// Fails if an upgrade of Moleculer reads the usage in another way.
test("heartbeats report the usage that the broker returns", async () => {
	const broker = new ServiceBroker({ logger: false, middlewares: [cpuUsage] });
	expect(await broker.getCpuUsage()).toMatchObject({ avg: 0 });
	broker.getCpuUsage = async () => ({ avg: 42, usages: [42] });
	const { discoverer, nodes } = broker.registry as unknown as {
		discoverer: { beat(): Promise<unknown> };
		nodes: { localNode: { cpu: number | null } };
	};
	await discoverer.beat();
	expect(nodes.localNode.cpu).toBe(42);
});
