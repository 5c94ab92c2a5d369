import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { freePort } from "../../test/support/processes.ts";
import { member } from "./members.ts";

const root = join(import.meta.dirname, "../..");

/** Path of a server's executable. Debian installs some in folders that are not on every PATH. */
export function findServer(name: string): string | undefined {
	const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
	return places.map((place) => join(place, name)).find((file) => existsSync(file));
}
export const missingServers = (): string[] =>
	["nats-server", "redis-server"].filter((name) => !findServer(name));
/** Debian packages of missing servers. */
const packagesOf = (missing: readonly string[]): string[] => [
	...new Set(missing.map((name) => (name === "promtool" ? "prometheus" : name))),
];
export const howToInstall = (missing: readonly string[]): string =>
	`${missing.join(" and ")} not found; on Debian: apt-get install ${packagesOf(missing).join(" ")}`;
/** The reason for skipping a test. */
export function whatIsMissing(missing: readonly string[]): string {
	const packages = packagesOf(missing);
	return (
		`${packages.join(" and ")} ${packages.length > 1 ? "are" : "is"} ` +
		`not installed (apt-get install ${packages.join(" ")})`
	);
}

/** NATS configuration, shared with the deployments. */
export const NATS_CONFIG = "k8s/components/nats/nats.conf";
/**
 * Writes the NATS configuration into a folder, without host settings and without settings that an
 * older server does not support.
 * @param maxPayload overrides `max_payload`, in bytes
 * @param store overrides the size of JetStream's store
 * @returns the server's command-line arguments
 */
export function natsArguments(
	file: string,
	folder: string,
	port: number,
	maxPayload?: number,
	store?: string,
): string[] {
	const [, major = 0, minor = 0] =
		/v(\d+)\.(\d+)/.exec(execFileSync(file, ["--version"], { encoding: "utf8" }))?.map(Number) ??
		[];
	const unsupported =
		major > 2 || minor >= 10
			? /^\s*(server_name|http_port|store_dir):.*$/gm
			: /^\s*(server_name|http_port|store_dir|sync_interval):.*$/gm;
	const config = join(folder, "nats.conf");
	const text = readFileSync(join(root, NATS_CONFIG), "utf8")
		.replace(unsupported, "")
		.replace(/^max_payload:.*$/m, (line) => (maxPayload ? `max_payload: ${maxPayload}` : line))
		.replace(/^\s*max_file_store:.*$/m, (line) => (store ? `max_file_store: ${store}` : line));
	writeFileSync(config, text);
	return ["-c", config, "-a", "127.0.0.1", "-p", String(port), "-sd", join(folder, "jetstream")];
}

/** Starts NATS. @param folder of its configuration and log, and of JetStream in `jetstream` */
export async function natsMember(folder: string, maxPayload?: number) {
	const port = await freePort();
	const file = findServer("nats-server")!;
	mkdirSync(join(folder, "jetstream"));
	const args = natsArguments(file, folder, port, maxPayload);
	const made = member("nats", { name: "nats", file, args, log: join(folder, "nats.log") }, () =>
		greeting(port, "", /^INFO /),
	);
	await made.start();
	return { member: made, url: `nats://127.0.0.1:${port}` };
}

/** Starts Redis without persistence. @param folder of its log */
export async function redisMember(folder: string) {
	const port = await freePort();
	const args = [
		"--bind",
		"127.0.0.1",
		"--port",
		String(port),
		"--dir",
		folder,
		"--save",
		"",
		"--appendonly",
		"no",
	];
	const command = {
		name: "redis",
		file: findServer("redis-server")!,
		args,
		log: join(folder, "redis.log"),
	};
	const made = member("redis", command, () => greeting(port, "PING\r\n", /^\+PONG/));
	await made.start();
	return { member: made, url: `redis://127.0.0.1:${port}` };
}

/** Connects to a server, sends `request`, and fails unless the first response matches. */
function greeting(port: number, request: string, expected: RegExp): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	const socket = connect(port, "127.0.0.1", () => socket.write(request));
	socket.setTimeout(1000, () => socket.destroy(new Error("no response")));
	socket.once("data", (data) => {
		if (expected.test(data.toString())) resolve();
		else reject(new Error(`Unexpected response: ${data}`));
		socket.destroy();
	});
	socket.once("error", reject);
	return promise;
}
