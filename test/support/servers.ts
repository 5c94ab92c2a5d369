import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "@jest/globals";
import { findServer, howToInstall } from "../../chaos/cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { freePort, type Process, startProcess } from "./processes.ts";

type Name = "nats-server" | "redis-server" | "prometheus" | "promtool";

/** A server that can be ended in every way, and started again on the same port and data. */
export interface Server {
	readonly url: string;
	/** The process that runs now. */
	readonly process: Process;
	/** Starts it again after it has ended, and waits until it answers. */
	restart(): Promise<void>;
	/** Ends it for good. */
	stop(): Promise<void>;
}

/** Tests that need servers which npm does not bring. Where these are not installed the tests are left out (the run says so, once), and where CI is "true" they fail. */
export function describeWith(servers: readonly Name[], title: string, tests: () => void): void {
	const missing = servers.filter((name) => !findServer(name));
	if (missing.length === 0) {
		describe(title, tests);
	} else if (process.env.CI === "true") {
		test(title, () => {
			throw new Error(howToInstall(missing));
		});
	} else {
		describe.skip(title, tests);
	}
}

/** @param folder for its data and its log */
export function startNats(folder: string): Promise<Server> {
	const file = findServer("nats-server")!;
	return startServer({
		name: "nats",
		scheme: "nats",
		file,
		folder,
		args: (port) => ["-c", natsConfig(file, folder), "-a", "127.0.0.1", "-p", `${port}`],
		greeting: { ask: "", answer: /^INFO / },
	});
}

/** @param folder for its log; it keeps no data */
export function startRedis(folder: string): Promise<Server> {
	return startServer({
		name: "redis",
		scheme: "redis",
		file: findServer("redis-server")!,
		folder,
		args: (port) => ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder, "--save", ""],
		greeting: { ask: "PING\r\n", answer: /^\+PONG/ },
	});
}

/** The configuration of the cluster, with places of the test's own and without what an older version does not know. */
function natsConfig(file: string, folder: string): string {
	const [, major = 0, minor = 0] = /v(\d+)\.(\d+)/.exec(execFileSync(file, ["--version"], { encoding: "utf8" }))?.map(Number) ?? [];
	const known = major > 2 || minor >= 10;
	const text = readFileSync(join(root, "deploy/nats.conf"), "utf8")
		.replace(/^(server_name|http_port):.*$/gm, "")
		.replace(/^\s*store_dir:.*$/m, `store_dir: ${JSON.stringify(join(folder, "jetstream"))}`)
		.replace(/^\s*sync_interval:.*$/m, (line) => (known ? line : ""));
	const path = join(folder, "nats.conf");
	writeFileSync(path, text);
	return path;
}

interface Kind {
	readonly name: string;
	readonly scheme: string;
	readonly file: string;
	readonly folder: string;
	args(port: number): string[];
	/** How one sees that it answers. */
	readonly greeting: { readonly ask: string; readonly answer: RegExp };
}

async function startServer({ name, scheme, file, folder, args, greeting }: Kind): Promise<Server> {
	mkdirSync(folder, { recursive: true });
	const port = await freePort();
	const log = join(folder, `${name}.log`);
	const start = async () => {
		const process = startProcess({ name, file, args: args(port), log });
		await Promise.race([process.failure, eventually(() => greet(port, greeting))]);
		return process;
	};
	let process = await start();
	return {
		url: `${scheme}://127.0.0.1:${port}`,
		get process() {
			return process;
		},
		async restart() {
			process = await start();
		},
		stop: () => process.kill(),
	};
}

async function greet(port: number, { ask, answer }: Kind["greeting"]): Promise<void> {
	const text = await new Promise<string>((resolve, reject) => {
		const socket = connect(port, "127.0.0.1", () => socket.write(ask));
		socket.setTimeout(1000, () => socket.destroy(new Error("no answer")));
		socket.once("data", (data) => {
			resolve(data.toString());
			socket.destroy();
		});
		socket.once("error", reject);
	});
	if (!answer.test(text)) throw new Error(`unexpected: ${text}`);
}
