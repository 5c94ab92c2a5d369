import { readdirSync, readFileSync } from "node:fs";

/** Unit of CPU times in /proc (USER_HZ, 100 on all common architectures). */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
	readonly pid: number;
	readonly parent: number;
	readonly cpuMs: number;
}
/** Resource usage of a process group. */
interface ResourceUsage {
	/** CPU time since the start of the processes. */
	readonly cpuMs: number;
	/** Current resident memory. Shared memory, such as Postgres' buffers, counts once. */
	readonly rssMb: number;
}

/** Reads and parses a file of a process in /proc; undefined if the process has ended. */
function readProcFile<T>(
	pid: number,
	file: "stat" | "status",
	parse: (text: string) => T,
): T | undefined {
	try {
		return parse(readFileSync(`/proc/${pid}/${file}`, "utf8"));
	} catch {
		return undefined;
	}
}

const readTimes = (pid: number): ProcessTimes | undefined =>
	readProcFile(pid, "stat", (stat) => {
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
		return { pid, parent: Number(fields[1]), cpuMs: (ticks * 1000) / TICKS_PER_SECOND };
	});

const MEMORY_FIELDS = ["RssAnon", "RssFile", "RssShmem"] as const;
/** Returns anonymous, file and shared memory in MB. Only anonymous memory is private. */
const readMemory = (pid: number): number[] | undefined =>
	readProcFile(pid, "status", (status) =>
		MEMORY_FIELDS.map(
			(name) =>
				(Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024) / 1e6,
		),
	);

/** Returns the resident memory of a process in MB; undefined if it has ended. */
export const residentMemory = (pid: number): number | undefined =>
	readMemory(pid)?.reduce((sum, mb) => sum + mb, 0);

/**
 * Returns the resource usage by name. Each process includes all of its descendants, except those in
 * `excluded`, and the CPU time of children that have ended.
 */
export function readUsage<Name extends string>(
	pids: Readonly<Record<Name, number>>,
	excluded: ReadonlySet<number>,
): Record<Name, ResourceUsage> {
	const all = readdirSync("/proc").flatMap((name) =>
		/^\d+$/.test(name) && !excluded.has(Number(name)) ? (readTimes(Number(name)) ?? []) : [],
	);
	const children = Map.groupBy(all, ({ parent }) => parent);
	const withDescendants = (root: ProcessTimes): ProcessTimes[] => [
		root,
		...(children.get(root.pid) ?? []).flatMap(withDescendants),
	];
	const entries = Object.entries<number>(pids).map(([name, pid]) => {
		const members = all.filter((root) => root.pid === pid).flatMap(withDescendants);
		const memory = members
			.flatMap((member) => [readMemory(member.pid) ?? []])
			.filter(({ length }) => length > 0);
		const anonymous = memory.reduce((sum, [own]) => sum + own!, 0);
		const shared = [1, 2].reduce(
			(sum, kind) => sum + Math.max(0, ...memory.map((fields) => fields[kind]!)),
			0,
		);
		return [
			name,
			{ cpuMs: members.reduce((sum, { cpuMs }) => sum + cpuMs, 0), rssMb: anonymous + shared },
		];
	});
	return Object.fromEntries(entries);
}
