import { flushCompileCache } from "node:module";
import { setTimeout as pause } from "node:timers/promises";
import type { EnvironmentContext } from "@jest/environment";
import { ModuleMocker } from "jest-mock";

/** Resources that keep a process running, by their names in `process.getActiveResourcesInfo()`. */
const KINDS = ["Timeout", "TCPServerWrap", "TCPSocketWrap", "ProcessWrap", "MessagePort", "Worker"];
/** Calls in the stack of an error, instead of Jest's 100: polls create thousands of errors. */
const STACK_TRACE_LIMIT = 25;
/** Limit of the wait for closing connections and debounced work of Moleculer. */
const GRACE_MS = 30_000;
const POLL_MS = 20;

function openResources(): Map<string, number> {
	const counts = new Map<string, number>();
	for (const kind of process.getActiveResourcesInfo())
		if (KINDS.includes(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
	return counts;
}

/**
 * Exits as soon as nothing keeps this process running, without freeing the heap of all test files.
 * Jest kills a worker that has not exited after 500 ms.
 */
process.once("beforeExit", () => process.exit());

const workerConsole = console;

/**
 * Environment that runs test files in the worker itself, without a vm context, so that a module is
 * loaded once per worker instead of once per file (see test-runner.ts).
 *
 * It fails a test file that leaves timers, servers, connections, processes, threads or settings in
 * `process.env`. They would keep Jest's worker running after the last test, or affect other files.
 */
export default class NativeEnvironment {
	/** Jest patches and deletes properties of this object, so it is not the global object. */
	readonly global: { process: object; console?: Console } = { process: {} };
	readonly moduleMocker = new ModuleMocker(globalThis);
	readonly fakeTimers = null;
	readonly fakeTimersModern = null;
	#before = new Map<string, number>();
	#env = { ...process.env };
	#failed = false;

	constructor(_config: unknown, { console }: EnvironmentContext) {
		this.global.console = console;
	}

	exportConditions(): string[] {
		return ["node", "node-addons"];
	}

	getVmContext(): null {
		return null;
	}

	/** Receives the events of jest-circus. */
	handleTestEvent({ name, test }: { name: string; test?: { errors: readonly unknown[] } }): void {
		if (name === "test_done" && test!.errors.length > 0) this.#failed = true;
	}

	async setup(): Promise<void> {
		// Jest's console adds the file and line to each message.
		globalThis.console = this.global.console!;
		// Jest looks up a source map for each call in a stack, although no file is transformed here.
		Reflect.deleteProperty(Error, "prepareStackTrace");
		Error.stackTraceLimit = STACK_TRACE_LIMIT;
		this.#before = openResources();
		this.#env = { ...process.env };
	}

	async teardown(): Promise<void> {
		globalThis.console = workerConsole;
		// At the end of the run, Jest would kill the worker while it writes the cache.
		flushCompileCache();
		const until = Date.now() + GRACE_MS;
		while (this.#left().length > 0 && Date.now() < until) await pause(POLL_MS);
		const left = this.#left();
		const changed = this.#changedSettings();
		// The failure of a test is the cause, and Jest would report only this error.
		if (this.#failed) return;
		if (left.length > 0)
			throw new Error(
				`The test file leaves resources open: ${left.join(", ")}. Run it with --detectOpenHandles`,
			);
		if (changed.length > 0)
			throw new Error(`The test file leaves process.env changed: ${changed.join(", ")}`);
	}

	#left(): string[] {
		return [...openResources()].flatMap(([kind, count]) => {
			const more = count - (this.#before.get(kind) ?? 0);
			return more > 0 ? [`${more} ${kind}`] : [];
		});
	}

	/** Names of changed environment variables, whose values are then restored. */
	#changedSettings(): string[] {
		const names = new Set([...Object.keys(this.#env), ...Object.keys(process.env)]);
		return [...names].filter((name) => {
			const before = this.#env[name];
			if (process.env[name] === before) return false;
			if (before === undefined) delete process.env[name];
			else process.env[name] = before;
			return true;
		});
	}
}
