import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { processesWith } from "../lib/persistence/embedded-postgres/test/support.ts";
import { freePort } from "../test/support/processes.ts";
import { cleanUp, makeDataFolder, runScript } from "../test/support/program.ts";
import { SharedProcess } from "../test/support/shared-process.ts";

const shared = new SharedProcess();
afterEach(cleanUp);
afterAll(() => shared.end());

/** The gateway has no database, so it needs no embedded Postgres. */
const NO_DATABASE = "postgres://{service}:hush@127.0.0.1/{service}";
/** Settings of a start with one service, for a folder. */
const settings = (env: Record<string, string>, folder: string) => {
	return { SERVICES: "shipping", PORT: "0", DATA_DIR: folder, ...env };
};
/**
 * Runs a start that must fail with code 1, one line on stderr and no remaining process. Returns the
 * line.
 */
async function refusal(env: Record<string, string>): Promise<string> {
	const folder = env.DATA_DIR ?? (await makeDataFolder());
	const { code, errors } = await runScript("start", settings(env, folder)).ended;
	return assertRefusal(code, errors, folder);
}
/** Like `refusal`, for a start that fails before it opens a database or a port. */
async function earlyRefusal(env: Record<string, string>, args: string[] = []): Promise<string> {
	const folder = env.DATA_DIR ?? (await makeDataFolder());
	const { code, errors } = await shared.run("start", settings(env, folder), args);
	return assertRefusal(code, errors, folder);
}
async function assertRefusal(
	code: number | null | undefined,
	errors: string,
	folder: string,
): Promise<string> {
	expect({ code, lines: errors.split("\n").length, errors }).toMatchObject({ code: 1, lines: 1 });
	expect(await processesWith(folder)).toEqual([]);
	return errors;
}

describe("npm start prints the reason and the next action in one line for", () => {
	test("an invalid setting", async () => {
		expect(await refusal({ PORT: "http" })).toMatch(
			/PORT must be a number \(Port that the gateway listens on\)/,
		);
	});

	test("an unknown service", async () => {
		expect(await earlyRefusal({ SERVICES: "shipping,shoping" })).toMatch(
			/SERVICES contains unknown names: shoping; valid names are .*shipping/,
		);
	});

	test("services without their dependencies", async () => {
		expect(await earlyRefusal({ SERVICES: "orders" })).toMatch(
			/SERVICES needs .*products.* or a TRANSPORTER/,
		);
	});

	test("an unknown argument", async () => {
		expect(await earlyRefusal({}, ["--silent"])).toMatch(
			/Unknown option '--silent'; "npm start -- --help"/,
		);
	});

	test("a data folder that cannot be written", async () => {
		const file = join(await makeDataFolder(), "file");
		await writeFile(file, "");
		expect(await earlyRefusal({ DATA_DIR: join(file, "data") })).toMatch(
			/file\/data.* cannot be written .*DATA_DIR/,
		);
	});

	test("a data folder on a file system that creates no folders", async () => {
		expect(await earlyRefusal({ DATA_DIR: "/proc/moleculer-commerce" })).toMatch(
			/\/proc\/moleculer-commerce.* cannot be written .*DATA_DIR/,
		);
	});

	test("the gateway and the health checks on one port", async () => {
		const line = await earlyRefusal({ SERVICES: "", PORT: "3999", HEALTH_PORT: "3999" });
		expect(line).toMatch(/PORT and HEALTH_PORT are both 3999: set HEALTH_PORT to another port/);
	});

	test("a secret with two values", async () => {
		expect(
			await earlyRefusal({
				ADMIN_PASSWORD: "tR4-vm9.Kx2",
				ADMIN_PASSWORD_FILE: "/run/secrets/admin_password",
			}),
		).toMatch(/ADMIN_PASSWORD and ADMIN_PASSWORD_FILE are both set: unset one of them/);
	});

	test("an administrator's password that bcrypt cannot hash", async () => {
		const line = await earlyRefusal({ SERVICES: "users", ADMIN_PASSWORD: "é".repeat(40) });
		expect(line).toMatch(/ADMIN_PASSWORD is longer than 72 bytes: set it to a shorter password/);
	});

	test("a data folder with another program's Postgres cluster", async () => {
		const DATA_DIR = await makeDataFolder();
		await mkdir(join(DATA_DIR, "postgres"));
		await writeFile(join(DATA_DIR, "postgres/PG_VERSION"), "9\n");
		expect(await earlyRefusal({ DATA_DIR })).toMatch(
			/not made by this program: choose an empty or a new folder/,
		);
	});

	test("a port in use", async () => {
		const server = createServer().listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		try {
			const line = await refusal({
				SERVICES: "api",
				PORT: String(port),
				DATABASE_URL: NO_DATABASE,
			});
			expect(line).toContain(`port ${port} on 127.0.0.1 is taken by another program`);
		} finally {
			server.close();
		}
	});

	test("an address of another machine", async () => {
		const where = { PORT: "3999", HOST: "192.0.2.1" };
		expect(await refusal({ SERVICES: "api", ...where, DATABASE_URL: NO_DATABASE })).toMatch(
			/cannot listen on HOST 192\.0\.2\.1/,
		);
	});

	test("an unreachable database", async () => {
		const port = await freePort();
		const line = await refusal({
			DATABASE_URL: `postgres://{service}:hush@127.0.0.1:${port}/{service}`,
		});
		expect(line).toMatch(
			/database shipping on 127\.0\.0\.1:\d+ cannot be reached \(.*ECONNREFUSED.*\): start it, or correct DATABASE_URL/,
		);
		expect(line).not.toContain("hush");
	});

	test("a database server that accepts connections and never responds", async () => {
		const sockets: Socket[] = [];
		// Open connections would keep the test process running.
		const server = createServer((socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		try {
			expect(
				await refusal({ DATABASE_URL: `postgres://{service}:hush@127.0.0.1:${port}/{service}` }),
			).toMatch(/cannot be reached \(timeout/);
		} finally {
			for (const socket of sockets) socket.destroy();
			server.close();
		}
	});

	test("an invalid DATABASE_URL", async () => {
		expect(
			await earlyRefusal({ DATABASE_URL: "postgres://{service}:a/b#c@127.0.0.1/{service}" }),
		).toMatch(/DATABASE_URL .*percent-encode/);
	});

	test("production without a secret, or with a well-known one", async () => {
		const production = { NODE_ENV: "production", SERVICES: "auth,users" };
		expect(await earlyRefusal(production)).toMatch(/production and JWT_SECRET is missing/);
		expect(
			await earlyRefusal({ ...production, JWT_SECRET: "your-256-bit-secret-your-256-bit" }),
		).toMatch(/JWT_SECRET is easily guessed/);
	});

	test("an old version of Node", async () => {
		const script = `Object.defineProperty(process, "versions", { value: { node: "20.19.0" } });`;
		const old = `data:text/javascript,${script}`;
		expect(await refusal({ NODE_OPTIONS: `--import "${old.replaceAll('"', '\\"')}"` })).toMatch(
			/needs Node 24.*npm start/,
		);
	});
});

describe("npm run start:node writes as log lines", () => {
	const startNode = async (env: Record<string, string>) =>
		runScript("start:node", {
			SERVICES: "shipping",
			LOG_FORMAT: "json",
			DATA_DIR: await makeDataFolder(),
			...env,
		});
	const linesOf = (output: string) =>
		output
			.split("\n")
			.filter(Boolean)
			.map((line) => JSON.parse(line));

	test("the reason why a start fails", async () => {
		const program = await startNode({ SERVICES: "orders" });
		expect(await program.ended).toEqual({ code: 1, errors: "" });
		expect(linesOf(program.output())).toEqual([
			{
				level: "fatal",
				timestamp: expect.any(String),
				logger: "start",
				service: "orders",
				message: expect.stringMatching(/^SERVICES needs .*products.* or a TRANSPORTER/),
			},
		]);
	});

	test("that a node of a cluster waits for a database that is not ready", async () => {
		const port = await freePort();
		const program = await startNode({
			TRANSPORTER: "nats://127.0.0.1:1",
			DATABASE_URL: `postgres://{service}:hush@127.0.0.1:${port}/{service}`,
		});
		await program.waitForOutput(/Waiting/);
		expect(await program.stop("SIGTERM")).toEqual({ code: 0, errors: "" });
		const message = expect.stringMatching(
			/^Waiting: the database shipping on .* cannot be reached/,
		);
		expect(linesOf(program.output())).toMatchObject([{ level: "warn", message }]);
	});
});
