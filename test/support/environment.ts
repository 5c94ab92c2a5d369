import { setTimeout as pause } from "node:timers/promises";
import { TestEnvironment } from "jest-environment-node";

/** Resources that keep a process running, by their names in `process.getActiveResourcesInfo()`. */
const KINDS = ["Timeout", "TCPServerWrap", "TCPSocketWrap", "ProcessWrap", "MessagePort", "Worker"];
/** Grace period for closing connections and debounced work of Moleculer. */
const GRACE_MS = 3000;
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

/**
 * Node environment that fails a test file which leaves timers, servers, connections, processes or
 * threads open. They would keep Jest's worker running after the last test, and Jest would kill it
 * without naming the file.
 */
export default class ClosingEnvironment extends TestEnvironment {
	#before = new Map<string, number>();

	override async setup(): Promise<void> {
		await super.setup();
		this.#before = openResources();
	}

	override async teardown(): Promise<void> {
		await super.teardown();
		const until = Date.now() + GRACE_MS;
		while (this.#left().length > 0 && Date.now() < until) await pause(POLL_MS);
		const left = this.#left();
		if (left.length > 0)
			throw new Error(
				`The test file leaves resources open: ${left.join(", ")}. Run it with --detectOpenHandles`,
			);
	}

	#left(): string[] {
		return [...openResources()].flatMap(([kind, count]) => {
			const more = count - (this.#before.get(kind) ?? 0);
			return more > 0 ? [`${more} ${kind}`] : [];
		});
	}
}
