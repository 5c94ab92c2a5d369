import { mkdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "@jest/globals";
import {
	findServer,
	howToInstall,
	natsArguments,
	whatIsMissing,
} from "../../tools/chaos/servers.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { freePort, type Process, startProcess } from "./processes.ts";
import { describeIf } from "./skip.ts";

type Name = "nats-server" | "redis-server" | "prometheus" | "promtool";

/** Server that tests can stop, kill, pause and restart on the same port and data. */
export interface Server {
	readonly url: string;
	/** Current process. */
	readonly process: Process;
	/** Restarts it after it has stopped, and waits until it accepts requests. */
	restart(): Promise<void>;
	/** Stops it permanently. */
	stop(): Promise<void>;
}

/**
 * `describe` for tests that require servers which npm does not install. Without the servers the
 * tests are skipped, or fail if CI is "true".
 */
export function describeWith(servers: readonly Name[], title: string, tests: () => void): void {
	const missing = servers.filter((name) => !findServer(name));
	if (missing.length === 0) {
		describe(title, tests);
	} else if (process.env.CI === "true") {
		test(title, () => {
			throw new Error(howToInstall(missing));
		});
	} else {
		describeIf(false, whatIsMissing(missing))(title, tests);
	}
}

interface NatsOptions {
	/** In bytes, instead of the configured value. */
	readonly maxPayload?: number | undefined;
	/** Size of JetStream's store, such as "1MB", instead of the configured value. */
	readonly store?: string | undefined;
	/** Further arguments of each start. */
	args?(): readonly string[];
}
/** @param folder for its data and its log */
export function startNats(folder: string, options: NatsOptions = {}): Promise<Server> {
	const { maxPayload, store, args = () => [] } = options;
	const file = findServer("nats-server")!;
	return startServer({
		name: "nats",
		scheme: "nats",
		file,
		folder,
		args: (port) => [...natsArguments(file, folder, port, maxPayload, store), ...args()],
		probe: { request: "", response: /^INFO / },
	});
}

/**
 * @param folder for its log; data is not stored
 * @param options further arguments, such as `--maxmemory`
 */
export function startRedis(folder: string, options: readonly string[] = []): Promise<Server> {
	return startServer({
		name: "redis",
		scheme: "redis",
		file: findServer("redis-server")!,
		folder,
		args: (port) => [
			"--bind",
			"127.0.0.1",
			"--port",
			`${port}`,
			"--dir",
			folder,
			"--save",
			"",
			...options,
		],
		probe: { request: "PING\r\n", response: /^\+PONG/ },
	});
}

interface Kind {
	readonly name: string;
	readonly scheme: string;
	readonly file: string;
	readonly folder: string;
	args(port: number): string[];
	/** Request that checks whether the server is ready, and the expected response. */
	readonly probe: { readonly request: string; readonly response: RegExp };
}

async function startServer({ name, scheme, file, folder, args, probe }: Kind): Promise<Server> {
	mkdirSync(folder, { recursive: true });
	const port = await freePort();
	const log = join(folder, `${name}.log`);
	const start = async () => {
		const process = startProcess({ name, file, args: args(port), log });
		await Promise.race([process.failure, eventually(() => checkReady(port, probe))]);
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

async function checkReady(port: number, { request, response }: Kind["probe"]): Promise<void> {
	const text = await new Promise<string>((resolve, reject) => {
		const socket = connect(port, "127.0.0.1", () => socket.write(request));
		socket.setTimeout(1000, () => socket.destroy(new Error("no response")));
		socket.once("data", (data) => {
			resolve(data.toString());
			socket.destroy();
		});
		socket.once("error", reject);
	});
	if (!response.test(text)) throw new Error(`unexpected response: ${text}`);
}

/** Eviction policy of the cluster's Redis. */
export function evictionPolicy(): string {
	const text = readFileSync(join(root, "docker-compose.yml"), "utf8");
	return /"--maxmemory-policy",\s*"([a-z-]+)"/.exec(text)![1]!;
}
