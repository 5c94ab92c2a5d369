import { mkdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "@jest/globals";
import {
	findServer,
	howToInstall,
	natsArguments,
	whatIsMissing,
} from "../../tools/chaos/cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { freePort, type Process, startProcess } from "./processes.ts";
import { describeIf } from "./skip.ts";

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

/** Tests that need servers which npm does not bring. Without these servers the tests are skipped, or fail if CI is "true". */
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

/**
 * @param folder for its data and its log
 * @param maxPayload in bytes, instead of that of the configuration
 * @param store the size of JetStream's store, "1MB" for instance, instead of that of the configuration
 */
export function startNats(folder: string, maxPayload?: number, store?: string): Promise<Server> {
	const file = findServer("nats-server")!;
	return startServer({
		name: "nats",
		scheme: "nats",
		file,
		folder,
		args: (port) => natsArguments(file, folder, port, maxPayload, store),
		greeting: { ask: "", answer: /^INFO / },
	});
}

/**
 * @param folder for its log; it keeps no data
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
		greeting: { ask: "PING\r\n", answer: /^\+PONG/ },
	});
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

/** How the cluster's Redis chooses the keys that it evicts when its memory is full. */
export function evictionPolicy(): string {
	const text = readFileSync(join(root, "docker-compose.yml"), "utf8");
	return /"--maxmemory-policy",\s*"([a-z-]+)"/.exec(text)![1]!;
}
