import { existsSync } from "node:fs";
import { chown, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { canSwitchUser, processesWith } from "../lib/persistence/embedded-postgres/test/support.ts";
import { eventually } from "../test/support/eventually.ts";
import { freePort } from "../test/support/processes.ts";
import { cleanUp, makeDataFolder, type Running, runScript } from "../test/support/program.ts";
import { testIf } from "../test/support/skip.ts";

const inTerminal = testIf(
	process.platform === "linux" && existsSync("/usr/bin/script"),
	"/usr/bin/script is not installed (apt-get install bsdutils)",
);
const whereUsersSwitch = testIf(
	canSwitchUser,
	"other users cannot run this checkout (run as root, outside /root)",
);

afterEach(cleanUp);

/** Services with logins. A start with few services creates few databases. */
const LOGINS = { SERVICES: "api,auth,users" };
/** On a busy machine, an order may outlast the default wait of its request. */
const ORDER_WAIT_MS = "9000";
const start = (folder: string, env: Record<string, string> = {}, script = "start") =>
	runScript(script, { DATA_DIR: folder, PORT: "0", ORDER_WAIT_MS, ...env });
/** On a busy machine, a probe may exceed its time limit once. */
const becomesHealthy = (url: string) =>
	eventually(async () =>
		expect((await send(url, "/health")).body).toMatchObject({ status: "healthy" }),
	);
const screenOf = async (program: Running) => {
	const [screen] = await program.waitForOutput(/The shop is open[\s\S]*Stop .*\n/);
	return { screen, url: /http:\S+/.exec(screen)![0] };
};
const logins = (screen: string) =>
	[...screen.matchAll(/(\S+@\S+)\s+(\S+)$/gm)].map(([, email, password]) => ({ email, password }));
const postgresOn = async (folder: string): Promise<number> => {
	const [pid] = (await readFile(join(folder, "postgres/pgdata/postmaster.pid"), "utf8")).split(
		"\n",
	);
	return Number(pid);
};
async function send(
	url: string,
	path: string,
	{
		token,
		body,
		method = body ? "POST" : "GET",
	}: { token?: string; body?: object; method?: string } = {},
) {
	const headers = {
		...(token ? { authorization: `Bearer ${token}` } : {}),
		...(body ? { "content-type": "application/json" } : {}),
	};
	const response = await fetch(url + path, {
		method,
		headers,
		...(body ? { body: JSON.stringify(body) } : {}),
	});
	const text = await response.text();
	return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

const logIn = async (url: string, body: object): Promise<string> =>
	(await send(url, "/api/users/login", { body })).body.access_token;
/** Places the order that the start screen suggests. */
async function placeOrder(url: string, screen: string, token: string) {
	const [body = ""] = /\{"items":.*\}/.exec(screen) ?? [];
	const order = await send(url, "/api/orders", { token, body: JSON.parse(body) });
	expect(order).toMatchObject({ status: 201, body: { status: "confirmed" } });
	return order.body;
}

/** Starts a killed shop again, rejects one more start, and kills the Postgres of the first. */
async function assertRecovery(folder: string) {
	const program = start(folder);
	const { url } = await screenOf(program);
	await becomesHealthy(url);
	expect(await start(folder).ended).toMatchObject({
		code: 1,
		errors: expect.stringMatching(
			/^moleculer-commerce: already running on .* as process \d+: stop that one first.*$/,
		),
	});

	process.kill(await postgresOn(folder), "SIGKILL");
	const { code, errors } = await program.ended;
	expect(code).toBe(1);
	expect(errors).toMatch(/Postgres ended by itself \(SIGKILL\): see .*postgres\.log/);
}

describe("npm start", () => {
	test("shows a start screen, keeps its data, ends all processes, survives kill -9", async () => {
		const folder = await makeDataFolder();
		const first = start(folder);
		const { screen, url } = await screenOf(first);
		await becomesHealthy(url);
		expect(screen).toContain(`Console        ${url}/console (sign in as admin@example.com)`);
		const [admin, customer] = logins(screen);
		const token = await logIn(url, admin!);
		const order = await placeOrder(url, screen, await logIn(url, customer!));
		const { length } = (await send(url, "/api/products")).body;
		const removed = order.items[0].product_id;
		expect(await send(url, `/api/products/${removed}`, { token, method: "DELETE" })).toMatchObject({
			status: 204,
		});
		const pid = await postgresOn(folder);
		expect(await first.stop("SIGTERM")).toEqual({ code: 0, errors: "" });
		expect(await processesWith(folder)).not.toContain(pid);

		const second = start(folder);
		const again = await screenOf(second);
		expect(logins(again.screen)).toEqual([admin, customer]);
		// Tokens, orders and deletions survive the restart.
		expect(await send(again.url, `/api/orders/${order.id}`, { token })).toMatchObject({
			status: 200,
			body: { id: order.id },
		});
		expect((await send(again.url, "/api/products")).body).toHaveLength(length - 1);
		await placeOrder(again.url, again.screen, await logIn(again.url, customer!));

		await second.stop("SIGKILL");
		await assertRecovery(folder);
	});

	test("exits with code 0 after a signal during a start, which start:node completes", async () => {
		const folder = await makeDataFolder();
		const interrupted = start(folder, LOGINS);
		await interrupted.waitForOutput(/Preparing the database/);
		expect(await interrupted.stop("SIGINT")).toEqual({ code: 0, errors: "" });
		await eventually(async () => expect(await processesWith(folder)).toEqual([]));

		// The next start completes it. With start:node, it prints only log lines.
		const program = start(folder, LOGINS, "start:node");
		await program.waitForOutput(/started successfully/);
		expect(await program.stop("SIGTERM")).toMatchObject({ code: 0 });
		expect(program.output()).not.toMatch(/The shop is open|password|customer@example.com/);
	});

	test("becomes healthy only when its administrator can log in", async () => {
		const [folder, port] = [await makeDataFolder(), await freePort()];
		const admin = { email: "owner@example.com", password: "tR4-vm9.Kx2" };
		const program = runScript("start:node", {
			DATA_DIR: folder,
			PORT: String(port),
			ADMIN_EMAIL: admin.email,
			ADMIN_PASSWORD: admin.password,
			// Hashing takes long enough for health checks before the account exists.
			BCRYPT_COST: "12",
			...{
				PGSSLMODE: "require",
				PGOPTIONS: "-c default_transaction_read_only=on",
				PGSSLNEGOTIATION: "direct",
				PGPASSWORD: "other",
			},
		});
		const url = `http://127.0.0.1:${port}`;
		const healthy = eventually(async () =>
			expect((await send(url, "/health")).body.status).toBe("healthy"),
		);
		const failed = program.ended.then(({ code, errors }) => {
			throw new Error(`It ended with ${code}: ${errors}`);
		});
		failed.catch(() => undefined);
		await Promise.race([healthy, failed]);
		expect(await logIn(url, admin)).toEqual(expect.any(String));
	});

	whereUsersSwitch("runs as an ordinary user", async () => {
		const folder = await makeDataFolder();
		await chown(folder, 1, 1);
		const program = runScript(
			"start",
			{ DATA_DIR: join(folder, "data"), PORT: "0", ...LOGINS },
			{ uid: 1 },
		);
		await screenOf(program);
		expect(await program.stop("SIGTERM")).toEqual({ code: 0, errors: "" });
	});

	inTerminal("opens the prompt in a terminal, and exits with it", async () => {
		const folder = await makeDataFolder();
		const program = runScript(
			"start",
			{ DATA_DIR: folder, PORT: "0", SERVICES: "products,inventory", TERM: "xterm", HOME: folder },
			{ terminal: true },
		);
		await program.waitForOutput(/mol \$/);
		const pid = await postgresOn(folder);
		program.type("call products.list\r");
		await program.waitForOutput(/rows: \[/);
		program.type("exit\r");
		expect(await program.ended).toMatchObject({ code: 0 });
		expect(await processesWith(folder)).not.toContain(pid);
	});
});
