import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { processesWith } from "../../lib/persistence/embedded-postgres/test/support.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";

export interface End {
	readonly code: number | null;
	/** What it has written to stderr, without the line break at the end. */
	readonly errors: string;
}
/** The program as a process of its own. */
export interface Running {
	readonly child: ChildProcess;
	/** Everything written to stdout so far. */
	output(): string;
	/** Waits for a text on stdout; fails if the program ends before. */
	says(pattern: RegExp): Promise<RegExpExecArray>;
	/** Keys pressed, for a program in a terminal. */
	type(keys: string): void;
	readonly ended: Promise<End>;
	/** Sends a signal and waits for the end. */
	stop(signal?: NodeJS.Signals): Promise<End>;
}

const scripts = JSON.parse(await readFile(join(root, "package.json"), "utf8")).scripts as Record<
	string,
	string
>;
const running = new Set<Running>();
const folders = new Set<string>();

/** A data folder of the test's own; several starts may share it. */
export async function makeDataFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-start-"));
	// Root's Postgres, which is not run as root, can then keep its files inside.
	await chmod(folder, 0o755);
	folders.add(folder);
	return folder;
}

/** Ends what a test has started, and removes its folders. */
export async function cleanUp(): Promise<void> {
	await Promise.all([...running].map((program) => program.stop("SIGKILL")));
	for (const folder of folders) {
		await eventually(async () => {
			if ((await processesWith(folder)).length > 0)
				throw new Error(`something still runs on ${folder}`);
		});
		await rm(folder, { recursive: true, force: true });
	}
	running.clear();
	folders.clear();
}

/**
 * Runs what one of package.json's scripts says, as npm does: with the project's own Node first on the PATH.
 * @param options.terminal in a terminal of its own, where everything comes on stdout
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
		says: (pattern) =>
			new Promise((resolve, reject) => {
				const fail = (why: string) =>
					reject(new Error(`${why}, and ${pattern} is not in: ${output}${errors}`));
				const timer = setTimeout(() => fail("a minute has passed"), 60_000);
				const look = () => {
					const match = pattern.exec(output);
					if (!match) return;
					clearTimeout(timer);
					resolve(match);
				};
				child.stdout.on("data", look);
				ended.then(({ code }) => {
					clearTimeout(timer);
					fail(`it ended with ${code}`);
				});
				look();
			}),
		async stop(signal = "SIGTERM") {
			child.kill(signal);
			return ended;
		},
	};
	running.add(program);
	return program;
}
