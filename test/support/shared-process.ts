import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scripts } from "./program.ts";

/** Run of a program in a shared process. */
export interface Invocation {
	/** File of the program, relative to the repository. */
	readonly file: string;
	readonly args: readonly string[];
	/** All environment variables of the program. */
	readonly env: Readonly<Record<string, string>>;
}
export interface Outcome {
	/** Exit code; undefined if the program fails without exiting. */
	readonly code: number | undefined;
	readonly output: string;
	/** Output on stderr, without the final line break. */
	readonly errors: string;
}

/** Command line of a script that ends with one start of Node. */
const COMMAND =
	/^(?:.* && )?(?:exec )?node (?:--no-warnings )?(?:--import \S+ )?(?<file>\S+\.[jt]s)(?<args>( --\S+)*)$/;

/**
 * Process that runs scripts of package.json one after another, for programs that end early, whose
 * CPU time is nearly all spent on loading modules. It starts with the first script.
 */
export class SharedProcess {
	#child: ChildProcess | undefined;

	/** Runs a script of package.json. @throws if its command line is more than a start of Node */
	async run(
		script: string,
		env: Readonly<Record<string, string>>,
		args: readonly string[] = [],
	): Promise<Outcome> {
		const command = COMMAND.exec(scripts[script]!)?.groups as { file: string; args: string };
		if (!command) throw new Error(`${script} is not a program of Node: ${scripts[script]}`);
		this.#child ??= fork(join(import.meta.dirname, "shared-process-program.ts"), {
			execArgv: ["--no-warnings"],
			// No terminal, in which programs would show their progress.
			silent: true,
		});
		const { PATH } = process.env;
		const invocation: Invocation = {
			file: command.file,
			args: [...command.args.trim().split(" "), ...args].filter((arg) => arg !== ""),
			env: { ...(PATH === undefined ? {} : { PATH }), HOME: tmpdir(), ...env },
		};
		this.#child.send(invocation);
		const ended = once(this.#child, "exit").then(([code]) => {
			throw new Error(`${script} ended the shared process with ${code}`);
		});
		const [outcome] = await Promise.race([once(this.#child, "message"), ended]);
		return outcome as Outcome;
	}

	async end(): Promise<void> {
		const child = this.#child;
		this.#child = undefined;
		if (!child) return;
		child.kill("SIGKILL");
		await once(child, "exit");
	}
}
