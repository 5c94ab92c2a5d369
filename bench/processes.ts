import { readdirSync, readFileSync } from "node:fs";

/** The kernel counts processor time in hundredths of a second. */
const TICKS = 100;

interface ProcessTimes {
	readonly pid: number;
	readonly parent: number;
	readonly cpuMs: number;
	readonly rssMb: number;
}

/** Undefined when it has ended. */
export function readProcess(pid: number): ProcessTimes | undefined {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		const [utime, stime, cutime, cstime] = [11, 12, 13, 14].map((i) => Number(fields[i])) as [number, number, number, number];
		return {
			pid,
			parent: Number(fields[1]),
			cpuMs: ((utime + stime + cutime + cstime) * 1000) / TICKS,
			rssMb: (Number(fields[21]) * 4096) / 1e6,
		};
	} catch {
		return undefined; // It ended while we looked.
	}
}

/** Processor time and memory of a process and everything below it, children that have ended included. */
export function tree(root: number): { cpuMs: number; rssMb: number } {
	const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (readProcess(Number(name)) ?? []) : []));
	const mine = new Set([root]);
	for (let grown = true; grown; ) {
		grown = false;
		for (const { pid, parent } of all) {
			if (!mine.has(parent) || mine.has(pid)) continue;
			mine.add(pid);
			grown = true;
		}
	}
	const members = all.filter(({ pid }) => mine.has(pid));
	return {
		cpuMs: members.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
		rssMb: members.reduce((sum, { rssMb }) => sum + rssMb, 0),
	};
}
