import {
	chmod,
	chown,
	mkdir,
	readFile,
	rename,
	rm,
	stat,
	truncate,
	writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { testIf } from "../../../test/support/skip.ts";
import { StartError } from "../../process/start-error.ts";
import { type EmbeddedPostgresOptions, startEmbeddedPostgres } from "./embedded-postgres.ts";
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
	query,
	recordLines,
	removeTemplate,
	runProgram,
} from "./test/support.ts";

const asRoot = testIf(isRoot, "requires root (run as root)");
const whereUsersSwitch = testIf(
	canSwitchUser,
	"other users cannot run this checkout (run as root, outside /root)",
);
/** `daemon`, which exists on every machine. */
const someUser = 1;
const unknownUser = 12345;

afterEach(cleanUp);
afterAll(removeTemplate);

async function start(dataDir: string, options: Partial<EmbeddedPostgresOptions> = {}) {
	const postgres = await startEmbeddedPostgres({ dataDir, ...options });
	afterwards(() => postgres.stop());
	return postgres;
}

async function refusal(
	dataDir: string,
	options: Partial<EmbeddedPostgresOptions> = {},
): Promise<string> {
	const error = await start(dataDir, options).then(
		() => undefined,
		(reason) => reason,
	);
	expect(error).toBeInstanceOf(StartError);
	expect(error.message).not.toContain("\n");
	return error.message;
}

describe("an embedded Postgres", () => {
	test("keeps its data from one start to the next", async () => {
		const dataDir = join(await makeFolder(), "new", "folder");
		const first = await start(dataDir);
		await query(first, "CREATE TABLE kept AS SELECT 7 AS n");
		await first.stop();
		const second = await start(dataDir);
		expect(await query(second, "SELECT n FROM kept")).toEqual([{ n: 7 }]);
		expect(second.password).toBe(first.password);
	});

	test("reuses a requested port", async () => {
		const dataDir = await makeUsedFolder();
		const { port, stop } = await start(dataDir);
		await stop();
		const second = await start(dataDir, { port });
		expect(second.port).toBe(port);
		expect(await query(second, "SELECT 7 AS n")).toEqual([{ n: 7 }]);
	});

	test("is durable, uses UTF-8 and applies settings", async () => {
		const postgres = await start(await makeUsedFolder(), {
			settings: { work_mem: "5MB", listen_addresses: "*" },
		});
		const names = [
			"fsync",
			"synchronous_commit",
			"server_encoding",
			"work_mem",
			"listen_addresses",
			"unix_socket_directories",
		];
		const [row] = await query(
			postgres,
			`SELECT ${names.map((name) => `current_setting('${name}') AS ${name}`)}, ` +
				"lower('ÄÖ') AS lower",
		);
		expect(row).toEqual({
			fsync: "on",
			synchronous_commit: "on",
			server_encoding: "UTF8",
			work_mem: "5MB",
			listen_addresses: "127.0.0.1",
			unix_socket_directories: "",
			lower: "äö",
		});
	});

	test("keeps the memory of large statements for the next ones", async () => {
		const session = await connect(await start(await makeUsedFolder()));
		const { rows } = await session.query("SELECT pg_backend_pid() AS pid");
		const pageFaults = async () =>
			Number((await readFile(`/proc/${rows[0].pid}/stat`, "utf8")).split(") ")[1]!.split(" ")[7]);
		/** Uses and frees about a megabyte, in blocks above and below glibc's limits. */
		const run = async (times: number) => {
			for (let n = 0; n < times; n++)
				await session.query(
					"SELECT length(array_agg(repeat('x', 1000))::text) FROM generate_series(1, 250)",
				);
		};
		await run(10);
		const before = await pageFaults();
		await run(20);
		expect((await pageFaults()) - before).toBeLessThan(200);
		await session.end();
	});

	test("requires a random password that only its owner can read", async () => {
		const dataDir = await makeFolder();
		const postgres = await start(dataDir);
		expect((await stat(join(dataDir, "password"))).mode & 0o777).toBe(0o600);
		await expect(query({ ...postgres, password: "postgres" }, "SELECT 1")).rejects.toThrow(
			"password authentication failed",
		);
	});

	test("ends open sessions when it stops, and may be stopped again", async () => {
		const dataDir = await makeUsedFolder();
		const postgres = await start(dataDir);
		const client = await connect(postgres);
		const sleeping = expect(client.query("SELECT pg_sleep(60)")).rejects.toThrow();
		await Promise.all([postgres.stop(), postgres.stop()]);
		const log = await readFile(join(dataDir, "postgres.log"), "utf8");
		expect(log).toContain("received fast shutdown request");
		expect(await isAlive(postgres.pid)).toBe(false);
		await sleeping;
		await postgres.stop();
	});

	test("runs in its own process group, which Ctrl-C does not reach", async () => {
		const postgres = await start(await makeUsedFolder());
		const fields = (await readFile(`/proc/${postgres.pid}/stat`, "utf8")).split(" ");
		expect(Number(fields[4])).toBe(postgres.pid);
	});

	test("reports an unexpected end and can be started again immediately", async () => {
		const dataDir = await makeUsedFolder();
		let report: (reason: string) => void = () => undefined;
		const reported = new Promise<string>((resolve) => (report = resolve));
		const postgres = await start(dataDir, { onExit: report });
		const client = await connect(postgres);
		const busy = client.query("SELECT pg_sleep(60)").catch(() => undefined);
		process.kill(postgres.pid, "SIGKILL");
		expect(await reported).toContain("SIGKILL");
		await query(await start(dataDir), "SELECT 1");
		await busy;
	});

	test("reports nothing when it is stopped", async () => {
		let reported = false;
		const postgres = await start(await makeUsedFolder(), { onExit: () => (reported = true) });
		await postgres.stop();
		expect(reported).toBe(false);
	});

	test("truncates a large log", async () => {
		const dataDir = await makeUsedFolder();
		await truncate(join(dataDir, "postgres.log"), 11 * 1024 * 1024);
		await start(dataDir);
		expect((await stat(join(dataDir, "postgres.log"))).size).toBeLessThan(1024 * 1024);
	});
});

describe("a start fails with a one-line error", () => {
	test("on a folder that is a file", async () => {
		const file = join(await makeFolder(), "file");
		await writeFile(file, "");
		expect(await refusal(file)).toMatch(/cannot be written \(it is a file\): choose another/);
		expect(await refusal(join(file, "below"))).toMatch(/a part of the path is a file/);
	});

	test("on a folder with other files", async () => {
		const dataDir = await makeFolder();
		await writeFile(join(dataDir, "thesis.txt"), "");
		expect(await refusal(dataDir)).toMatch(/is not empty \("thesis.txt"\)/);
		await writeFile(join(dataDir, "PG_VERSION"), "18");
		expect(await refusal(dataDir)).toMatch(/not made by this program/);
	});

	test("on data of another major version", async () => {
		const dataDir = await makeUsedFolder();
		await writeFile(join(dataDir, "pgdata/PG_VERSION"), "15\n");
		expect(await refusal(dataDir)).toMatch(/made by Postgres 15, this is Postgres 18/);
	});

	test("when the data or the password are missing", async () => {
		const dataDir = await makeUsedFolder();
		await rename(join(dataDir, "pgdata"), join(dataDir, "pgdata.away"));
		expect(await refusal(dataDir)).toMatch(/are missing: bring them back/);
		await rename(join(dataDir, "pgdata.away"), join(dataDir, "pgdata"));
		await rm(join(dataDir, "password"));
		expect(await refusal(dataDir)).toMatch(/password is missing/);
	});

	test("when Postgres rejects a setting, with its message and no process left", async () => {
		const dataDir = await makeFolder();
		expect(await refusal(dataDir, { settings: { shared_buffers: "lots" } })).toMatch(
			/invalid value for parameter "shared_buffers"/,
		);
		await query(await start(dataDir), "SELECT 1");
	});

	test("when the folder is in use by this process or by another", async () => {
		const dataDir = await makeUsedFolder();
		const mine = await start(dataDir);
		expect(await refusal(dataDir)).toContain(
			`already running on the data folder ${dataDir} as process ${process.pid}`,
		);
		await mine.stop();
		const { child, outcome } = runProgram(dataDir);
		const theirs = await outcome;
		expect(await refusal(dataDir)).toContain(`as process ${child.pid}`);
		await query(theirs, "SELECT 1");
	});

	whereUsersSwitch("for an ordinary user on a folder of another user", async () => {
		const dataDir = await makeFolder();
		const { error } = await runProgram(dataDir, { uid: someUser }).outcome;
		expect(error).toMatch(
			/StartError: .* cannot be written \(EACCES\): choose another, or give this user \(uid 1\)/,
		);
	});
});

describe("the user that starts it", () => {
	asRoot("root: keeps the files elsewhere if others cannot enter the folder", async () => {
		const closed = await makeFolder("/root");
		await chmod(closed, 0o700);
		const dataDir = join(closed, "data");
		const { lines, log } = recordLines();
		const first = await start(dataDir, { log });
		expect(lines).toHaveLength(1);
		const elsewhere = /kept in (\S+)$/.exec(lines[0]!)?.[1] ?? "";
		afterwards(() => rm(dirname(elsewhere), { recursive: true, force: true }));
		await query(first, "CREATE TABLE kept ()");
		await first.stop();
		const second = await start(dataDir, { log });
		await query(second, "SELECT FROM kept");
		expect(lines).toHaveLength(1);
	});

	whereUsersSwitch("an ordinary user: shares the folder with root", async () => {
		const dataDir = await makeFolder();
		await chown(dataDir, someUser, someUser);
		for (const uid of [someUser, undefined, someUser]) {
			const { child, outcome } = runProgram(dataDir, uid === undefined ? {} : { uid });
			const postgres = await outcome;
			expect(postgres.error).toBeUndefined();
			expect((await stat(`/proc/${postgres.pid}`)).uid).toBe(someUser);
			await query(postgres, "CREATE TABLE IF NOT EXISTS kept ()");
			child.kill("SIGTERM");
			await gone(child.pid!);
			expect(await isAlive(postgres.pid)).toBe(false);
		}
	});

	whereUsersSwitch(
		"a user without a name: root can start in their folder, they get an error",
		async () => {
			const dataDir = await makeFolder();
			await chown(dataDir, unknownUser, unknownUser);
			expect((await runProgram(dataDir, { uid: unknownUser }).outcome).error).toMatch(
				/uid 12345 has none: add it to \/etc\/passwd/,
			);
			await query(await start(dataDir), "SELECT 1");
		},
	);

	whereUsersSwitch("root starts in an ordinary user's folder: that user can continue", async () => {
		const dataDir = await makeFolder();
		await chown(dataDir, someUser, someUser);
		await mkdir(join(dataDir, "lost+found"));
		await (await start(dataDir)).stop();
		const { outcome } = runProgram(dataDir, { uid: someUser });
		await query(await outcome, "SELECT 1");
	});
});
