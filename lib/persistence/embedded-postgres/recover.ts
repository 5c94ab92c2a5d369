import { readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findProcess } from "../../process/process-lock.ts";
import { StartError } from "../../process/start-error.ts";
import type { DataFolder } from "./folder.ts";

const POLL_MS = 10;

/**
 * Handles a postmaster.pid of an earlier run: stops a Postgres of ours that outlived its program,
 * and removes the file of an ended process.
 * @throws StartError if another program runs a Postgres on these files
 */
export async function recover(
	{ pgData, id }: DataFolder,
	log: (line: string) => void,
): Promise<void> {
	const file = join(pgData, "postmaster.pid");
	const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
	if (!pid) return;
	const found = await findProcess(pid);
	if (!found || pid === process.pid) return rm(file, { force: true });
	const isPostgres = ["postgres", "postmaster"].includes(basename(found.args[0] ?? ""));
	const isOnOurs = isPostgres && (found.args.includes(pgData) || found.folder === pgData);
	if (!isOnOurs) return rm(file, { force: true });
	if (!found.args.includes(`cluster_name=${id}`)) {
		throw new StartError(`another Postgres (process ${pid}) runs on ${pgData}: stop it first`);
	}
	log(`stopping Postgres process ${pid}, which outlived the program that started it`);
	for (const [signal, timeoutMs] of [
		["SIGINT", 4000],
		["SIGQUIT", 3000],
		["SIGKILL", 3000],
	] as const) {
		try {
			process.kill(pid, signal);
		} catch {
			// The process has ended in the meantime.
		}
		for (const until = Date.now() + timeoutMs; Date.now() < until; await delay(POLL_MS)) {
			if ((await findProcess(pid))?.started !== found.started) return;
		}
	}
	throw new StartError(
		`Postgres process ${pid} on ${pgData} cannot be stopped: ` +
			"end it by hand, or restart the machine",
	);
}
