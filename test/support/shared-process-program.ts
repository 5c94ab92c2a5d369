import { registerHooks } from "node:module";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { root } from "./databases.ts";
import type { Invocation, Outcome } from "./shared-process.ts";

/*
 * Program that receives messages of type `Invocation`, runs one program after another in this
 * process, and sends an `Outcome` for each.
 */

/** Events of the process that programs listen to. */
const LISTENED = ["SIGINT", "SIGTERM", "SIGHUP", "uncaughtException", "unhandledRejection"];

/** Thrown by `process.exit`, which must not return. */
class Exit extends Error {}

registerHooks({
	// scripts/start.js imports the program, which must run again.
	resolve(specifier, context, next) {
		const resolved = next(specifier, context);
		const [, query] = context.parentURL?.split(".js?") ?? [];
		return query && specifier.startsWith(".")
			? { ...resolved, url: `${resolved.url}?${query}` }
			: resolved;
	},
	// A program that other modules import runs only as the main module.
	load(url, context, next) {
		const loaded = next(url, context);
		if (!url.includes("?run=")) return loaded;
		return { ...loaded, source: String(loaded.source).replaceAll("import.meta.main", "true") };
	},
});

/** The `write` of a stream whose texts are passed to `take` at once. */
const writeTo =
	(take: (text: string | Uint8Array) => void): typeof process.stdout.write =>
	(text: string | Uint8Array, ...options: unknown[]) => {
		take(text);
		const written = options.find((option) => typeof option === "function");
		written?.();
		return true;
	};

async function run({ file, args, env }: Invocation, id: number): Promise<Outcome> {
	const path = join(root, file);
	let [output, errors] = ["", ""];
	let code: number | undefined;
	const { argv, exit, env: ownEnv } = process;
	const writes = [process.stdout.write, process.stderr.write] as const;
	process.argv = [process.execPath, path, ...args];
	process.env = { ...env };
	const isRunning = () => code === undefined;
	process.stdout.write = writeTo((text) => {
		if (isRunning()) output += text;
	});
	process.stderr.write = writeTo((text) => {
		if (isRunning()) errors += text;
	});
	const exited = new Promise<void>((resolve) => {
		process.exit = (status) => {
			code ??= Number(status ?? process.exitCode ?? 0);
			resolve();
			throw new Exit();
		};
	});
	try {
		const loaded = import(`${pathToFileURL(path)}?run=${id}`).then(() => exited);
		await Promise.race([exited, loaded]).catch((error) => {
			if (!(error instanceof Exit)) errors += error;
		});
		// The program handles the error that `process.exit` has thrown.
		await nextTurn();
	} finally {
		Object.assign(process, { argv, exit, env: ownEnv });
		[process.stdout.write, process.stderr.write] = writes;
		for (const event of LISTENED) process.removeAllListeners(event);
	}
	return { code, output, errors: errors.trimEnd() };
}

let runs = 0;
process.on("message", async (invocation: Invocation) =>
	process.send!(await run(invocation, runs++)),
);
