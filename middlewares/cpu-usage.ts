import { cpus } from "node:os";
import type { Middleware, ServiceBroker } from "moleculer";

/** Percentages, as Moleculer's heartbeats report them. */
interface CpuUsage {
	readonly avg: number;
	/** By CPU. */
	readonly usages: readonly number[];
}
type Times = { readonly busy: number; readonly total: number };

const INTERVAL_MS = 5000;

/**
 * Measures the CPU usage of the machine over at least five seconds, with one reading. Moleculer
 * takes three readings per heartbeat, which is a fifth of the work of a node at rest.
 */
export const cpuUsage = {
	name: "CpuUsage",
	created(broker: ServiceBroker) {
		broker.getCpuUsage = cpuUsageSampler();
	},
} as Middleware;

/** Returns a function that returns the usage of the last complete interval; at first, 0. */
export function cpuUsageSampler(read = readTimes, now = Date.now): () => Promise<CpuUsage> {
	let times = read();
	let since = now();
	let usage: CpuUsage = { avg: 0, usages: times.map(() => 0) };
	return async () => {
		if (now() - since < INTERVAL_MS) return usage;
		const before = times;
		times = read();
		since = now();
		const usages = times.map((after, i) => percentage(before[i] ?? after, after));
		usage = { avg: usages.reduce((a, b) => a + b, 0) / Math.max(usages.length, 1), usages };
		return usage;
	};
}

const readTimes = (): Times[] =>
	cpus().map(({ times: { idle, user, nice, sys, irq } }) => {
		const busy = user + nice + sys + irq;
		return { busy, total: busy + idle };
	});

/** 0 if the clock of the CPU has not advanced. */
const percentage = (before: Times, after: Times): number =>
	((after.busy - before.busy) / Math.max(after.total - before.total, 1)) * 100;
