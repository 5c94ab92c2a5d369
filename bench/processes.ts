import { readdirSync, readFileSync } from "node:fs";

/** The kernel counts processor time in hundredths of a second. */
const TICKS = 100;

interface ProcessTimes {
	readonly pid: number;
	readonly parent: number;
	readonly cpuMs: number;
}
/** What some processes have used: processor time since they began, memory now. */
export interface Usage {
	readonly cpuMs: number;
	/** What they share, Postgres' buffers above all, counts once. */
	readonly rssMb: number;
}

/** What `read` makes of a file of a process; undefined where the process has ended meanwhile. */
function look<T>(pid: number, file: "stat" | "status", read: (text: string) => T): T | undefined {
	try {
		return read(readFileSync(`/proc/${pid}/${file}`, "utf8"));
	} catch {
		return undefined;
	}
}

const timesOf = (pid: number): ProcessTimes | undefined =>
	look(pid, "stat", (stat) => {
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
		return { pid, parent: Number(fields[1]), cpuMs: (ticks * 1000) / TICKS };
	});

const SHARES = ["RssAnon", "RssFile", "RssShmem"] as const;
/** Of anonymous, file and shared memory in MB: the first is each process's own. */
const memoryOf = (pid: number): number[] | undefined =>
	look(pid, "status", (status) =>
		SHARES.map((name) => (Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024) / 1e6),
	);

/** A process's resident memory in MB; undefined when it has ended. */
export const residentMemory = (pid: number): number | undefined => memoryOf(pid)?.reduce((sum, share) => sum + share, 0);

/** Usage of several processes by their names, each with everything below it, the time of children that have ended included. */
export function usage<Name extends string>(pids: Readonly<Record<Name, number>>): Record<Name, Usage> {
	const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (timesOf(Number(name)) ?? []) : []));
	const children = Map.groupBy(all, ({ parent }) => parent);
	const below = (one: ProcessTimes): ProcessTimes[] => [one, ...(children.get(one.pid) ?? []).flatMap(below)];
	const entries = Object.entries<number>(pids).map(([name, pid]) => {
		const members = all.filter((one) => one.pid === pid).flatMap(below);
		const memory = members.flatMap((one) => [memoryOf(one.pid) ?? []]).filter(({ length }) => length > 0);
		const own = memory.reduce((sum, [anonymous]) => sum + anonymous!, 0);
		const shared = [1, 2].reduce((sum, kind) => sum + Math.max(0, ...memory.map((shares) => shares[kind]!)), 0);
		return [name, { cpuMs: members.reduce((sum, { cpuMs }) => sum + cpuMs, 0), rssMb: own + shared }];
	});
	return Object.fromEntries(entries);
}
