import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { type Process, startProcess } from "../../test/support/processes.ts";
import type { Random } from "../chaos/random.ts";
import { GROUPS } from "./services.ts";

const CONSUMERS = 3;

/** Starts a process with these consumer groups. */
export function startConsumer(
	name: string,
	groups: readonly string[],
	settings: Record<string, string>,
	folder: string,
): Process {
	const args = ["--no-warnings", join(import.meta.dirname, "consumer.ts"), ...groups];
	return startProcess({
		name,
		file: process.execPath,
		args,
		env: { ...settings, NODEID: name },
		log: join(folder, `${name}.log`),
	});
}

/** The consumer processes, which the run kills and restarts. */
export function consumerProcesses(settings: Record<string, string>, folder: string, rng: Random) {
	const running = new Map<number, Process>();
	const killed = new Set<Process>();
	const failures: string[] = [];
	const spawn = (n: number) => {
		const one = startConsumer(`consumer-${n}`, GROUPS, settings, folder);
		running.set(n, one);
		one.failure.catch((error: Error) => {
			if (killed.has(one)) return;
			running.delete(n);
			failures.push(error.message);
		});
	};
	const kill = async (n: number) => {
		const one = running.get(n);
		if (!one) return;
		killed.add(one);
		await one.kill();
		running.delete(n);
	};
	let kills = 0;
	const all = [...Array(CONSUMERS).keys()];
	const start = () => all.filter((n) => !running.has(n)).forEach(spawn);
	return {
		kills: () => kills,
		/** Exits of consumers that were not killed. */
		failures: () => failures,
		/** Starts the consumers that are not running. */
		start,
		/** Kills one consumer per second, and sometimes all of them, and restarts them. */
		async killRandomly(seconds: number) {
			for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
				await after(1000);
				const victims = rng.next() < 0.15 ? all : [rng.pick(all)];
				await Promise.all(victims.map(kill));
				kills += victims.length;
				start();
			}
		},
		end: async () => void (await Promise.all(all.map(kill))),
	};
}
