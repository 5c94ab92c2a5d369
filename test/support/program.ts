import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { processesWith } from "../../lib/persistence/embedded-postgres/test/support.ts";
import { root } from "./databases.ts";
import { eventually, LIMIT_MS } from "./eventually.ts";
import { NODE_COMPILE_CACHE } from "./processes.ts";

interface End {
	readonly code: number | null;
	/** Output on stderr, without the final line break. */
	readonly errors: string;
}
/** Script that runs as a child process. */
export interface Running {
	readonly child: ChildProcess;
	/** Everything written to stdout so far. */
	output(): string;
	/** Waits for a text on stdout. @throws if the program exits first */
	waitForOutput(pattern: RegExp): Promise<RegExpExecArray>;
	/** Sends key presses to a program in a terminal. */
	type(keys: string): void;
	readonly ended: Promise<End>;
	/** Sends a signal and waits for the end. */
	stop(signal?: NodeJS.Signals): Promise<End>;
}

/** Command lines of package.json by name. */
export const scripts = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
	.scripts as Record<string, string>;
const running = new Set<Running>();
const folders = new Set<string>();

/** Creates a temporary data folder, which several starts may share. */
export async function makeDataFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-start-"));
	// If tests run as root, Postgres runs as another user, who must have access to the folder.
	await chmod(folder, 0o755);
	folders.add(folder);
	return folder;
}

/** Kills the programs that a test has started, and removes its folders. */
export async function cleanUp(): Promise<void> {
	await Promise.all([...running].map((program) => program.stop("SIGKILL")));
	for (const folder of folders) {
		await eventually(async () => {
			if ((await processesWith(folder)).length > 0)
				throw new Error(`a process still uses ${folder}`);
		});
		await rm(folder, { recursive: true, force: true });
	}
	running.clear();
	folders.clear();
}

/**
 * Runs a script of package.json like npm: with the project's own Node first on the PATH.
 * @param options.terminal runs it in a terminal, which merges stderr into stdout
 */
export function runScript(
	script: string,
	env: Record<string, string>,
	{
		args = [],
		uid,
		terminal = false,
	}: { args?: readonly string[]; uid?: number; terminal?: boolean } = {},
): Running {
	const command = [scripts[script], ...args].join(" ");
	const [file, ...words] = terminal
		? ["script", "-qec", command, "/dev/null"]
		: ["sh", "-c", command];
	const child = spawn(file!, words, {
		cwd: root,
		env: {
			PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
			HOME: tmpdir(),
			NODE_COMPILE_CACHE,
			...env,
		},
		...(uid === undefined ? {} : { uid, gid: uid }),
	});
	let [output, errors] = ["", ""];
	child.stdout.on("data", (chunk) => (output += chunk));
	child.stderr.on("data", (chunk) => (errors += chunk));
	const ended = once(child, "close").then(([code]): End => {
		running.delete(program);
		return { code, errors: errors.trimEnd() };
	});
	const program: Running = {
		child,
		output: () => output,
		type: (keys) => void child.stdin.write(keys),
		ended,
		waitForOutput: (pattern) =>
			new Promise((resolve, reject) => {
				const fail = (reason: string) =>
					reject(new Error(`${reason} before ${pattern} was printed: ${output}${errors}`));
				const timer = setTimeout(() => fail(`${LIMIT_MS / 1000} s passed`), LIMIT_MS);
				const check = () => {
					const match = pattern.exec(output);
					if (!match) return;
					clearTimeout(timer);
					resolve(match);
				};
				child.stdout.on("data", check);
				ended.then(({ code }) => {
					clearTimeout(timer);
					fail(`it exited with ${code}`);
				});
				check();
			}),
		async stop(signal = "SIGTERM") {
			child.kill(signal);
			return ended;
		},
	};
	running.add(program);
	return program;
}
