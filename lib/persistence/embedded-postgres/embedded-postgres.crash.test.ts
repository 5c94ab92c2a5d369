import { spawn } from "node:child_process";
import { chown, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../../../test/support/eventually.ts";
import { testIf } from "../../../test/support/skip.ts";
import { findBinaries } from "./binaries.ts";
import { startEmbeddedPostgres } from "./embedded-postgres.ts";
import {
	afterwards,
	canSwitchUser,
	cleanUp,
	connect,
	gone,
	isAlive,
	isRoot,
	makeFolder,
	makeUsedFolder,
	processesWith,
	query,
	recordLines,
	removeTemplate,
	runProgram,
} from "./test/support.ts";

const whereUsersSwitch = testIf(
	canSwitchUser,
	"other users cannot run this checkout (run as root, outside /root)",
);

afterEach(cleanUp);
afterAll(removeTemplate);

async function start(dataDir: string, log?: (line: string) => void) {
	const postgres = await startEmbeddedPostgres({ dataDir, ...(log && { log }) });
	afterwards(() => postgres.stop());
	return postgres;
}

/** A Postgres with one committed row, whose program is then killed. */
async function killedProgram(
	dataDir: string,
	killFirst: (postgres: number) => Promise<void> = async () => undefined,
) {
	const { child, outcome } = runProgram(dataDir);
	const postgres = await outcome;
	await query(postgres, "CREATE TABLE kept AS SELECT 7 AS n");
	await killFirst(postgres.pid);
	child.kill("SIGKILL");
	await gone(child.pid!);
	return postgres;
}

async function killWatcher(postgres: number): Promise<void> {
	for (const pid of await processesWith("postgres-watcher", String(postgres))) {
		process.kill(pid, "SIGKILL");
		await gone(pid);
	}
}

describe("after kill -9", () => {
	test("of the program, Postgres ends as well", async () => {
		const postgres = await killedProgram(await makeUsedFolder());
		await gone(postgres.pid);
		await eventually(async () =>
			expect(await processesWith("postgres-watcher", String(postgres.pid))).toEqual([]),
		);
	});

	test("of the program, the next start succeeds immediately", async () => {
		const dataDir = await makeUsedFolder();
		await killedProgram(dataDir);
		expect(await query(await start(dataDir), "SELECT n FROM kept")).toEqual([{ n: 7 }]);
	});

	test("of the program and its watcher, the next start stops the orphan", async () => {
		const dataDir = await makeUsedFolder();
		const orphan = await killedProgram(dataDir, killWatcher);
		const client = await connect(orphan);
		const busy = client.query("SELECT pg_sleep(60)").catch(() => "ended");
		expect(await isAlive(orphan.pid)).toBe(true);
		const { lines, log } = recordLines();
		const next = await start(dataDir, log);
		expect(lines).toEqual([
			`stopping Postgres process ${orphan.pid}, which outlived the program that started it`,
		]);
		expect(await isAlive(orphan.pid)).toBe(false);
		expect(await busy).toBe("ended");
		expect(await query(next, "SELECT n FROM kept")).toEqual([{ n: 7 }]);
	});

	test("of all processes, the next start spares an unrelated process with the pid", async () => {
		const dataDir = await makeUsedFolder();
		const dead = await killedProgram(dataDir, async (pid) => {
			process.kill(pid, "SIGKILL");
			await gone(pid);
		});
		const account = isRoot ? { uid: 65534, gid: 65534 } : {};
		const other = spawn("sleep", ["60"], { stdio: "ignore", ...account });
		afterwards(() => other.kill("SIGKILL"));
		const file = join(dataDir, "pgdata/postmaster.pid");
		await writeFile(
			file,
			(await readFile(file, "utf8")).replace(String(dead.pid), String(other.pid)),
		);
		expect(await query(await start(dataDir), "SELECT n FROM kept")).toEqual([{ n: 7 }]);
		expect(await isAlive(other.pid!)).toBe(true);
	});

	test("of Postgres, the next start waits until its last process has ended", async () => {
		const dataDir = await makeUsedFolder();
		const { child, outcome } = runProgram(dataDir);
		const dead = await outcome;
		const client = await connect(dead);
		const [row] = (await client.query("SELECT pg_backend_pid() AS pid")).rows;
		afterwards(async () => (await isAlive(row.pid)) && process.kill(row.pid, "SIGKILL"));
		process.kill(row.pid, "SIGSTOP");
		process.kill(dead.pid, "SIGKILL");
		child.kill("SIGKILL");
		await gone(child.pid!);
		const next = start(dataDir);
		const attempts = async () => {
			const log = await readFile(join(dataDir, "postgres.log"), "utf8");
			return log.split("is still in use").length - 1;
		};
		const waited = eventually(async () => expect(await attempts()).toBeGreaterThan(20));
		await Promise.race([next, waited]);
		expect(await attempts()).toBeGreaterThan(20);
		process.kill(row.pid, "SIGKILL");
		await query(await next, "SELECT 1");
	});

	test("during initdb, the next start creates the cluster again", async () => {
		const dataDir = await makeFolder();
		const { child } = runProgram(dataDir);
		await eventually(async () => expect((await readdir(dataDir)).join()).toMatch(/(^|,)initdb-/));
		child.kill("SIGKILL");
		await gone(child.pid!);
		const server = await start(dataDir);
		await query(server, "SELECT 1");
		await server.stop();
		// The orphaned initdb may have continued writing while its folder was removed. The start after
		// that removes it.
		await query(await start(dataDir), "SELECT 1");
		expect((await readdir(dataDir)).sort()).toEqual([
			"embedded-postgres.json",
			"lock",
			"password",
			"pgdata",
			"postgres.log",
		]);
	});

	test("a lock with a reused pid is ignored", async () => {
		const dataDir = await makeUsedFolder();
		await writeFile(
			join(dataDir, "lock"),
			JSON.stringify({ pid: process.ppid, started: "another time" }),
		);
		await query(await start(dataDir), "SELECT 1");
	});

	test("a Postgres that another program runs on the files is not stopped", async () => {
		const dataDir = await makeUsedFolder();
		const account = isRoot ? { uid: 65534, gid: 65534 } : undefined;
		const program = join(await findBinaries(account), "bin/postgres");
		const pgData = join(dataDir, "pgdata");
		const options = ["-c", "listen_addresses=", "-c", `unix_socket_directories=${pgData}`];
		const foreign = spawn(program, ["-D", pgData, ...options], {
			cwd: "/",
			stdio: "ignore",
			...account,
		});
		afterwards(() => foreign.kill("SIGQUIT"));
		const file = join(pgData, "postmaster.pid");
		await eventually(async () => expect(await readFile(file, "utf8")).toContain("ready"));
		await expect(start(dataDir)).rejects.toThrow(
			`another Postgres (process ${foreign.pid}) runs on ${pgData}: stop it first`,
		);
		expect(await isAlive(foreign.pid!)).toBe(true);
		foreign.kill("SIGINT");
		await gone(foreign.pid!);
		await query(await start(dataDir), "SELECT 1");
	});

	test("of concurrent starts after a crash, one succeeds and the others fail", async () => {
		const dataDir = await makeUsedFolder();
		await killedProgram(dataDir);
		const outcomes = await Promise.all([1, 2, 3, 4].map(() => runProgram(dataDir).outcome));
		const [winner, ...more] = outcomes.filter(({ error }) => error === undefined);
		expect(more).toEqual([]);
		for (const { error } of outcomes.filter(({ error }) => error !== undefined))
			expect(error).toMatch(/already running/);
		expect(await query(winner!, "SELECT n FROM kept")).toEqual([{ n: 7 }]);
	});

	whereUsersSwitch("the same applies to an ordinary user", async () => {
		const dataDir = await makeFolder();
		await chown(dataDir, 1, 1);
		const { child, outcome } = runProgram(dataDir, { uid: 1 });
		const orphan = await outcome;
		await killWatcher(orphan.pid);
		child.kill("SIGKILL");
		await gone(child.pid!);
		const next = await runProgram(dataDir, { uid: 1 }).outcome;
		await query(next, "SELECT 1");
		expect(await isAlive(orphan.pid)).toBe(false);
	});
});
