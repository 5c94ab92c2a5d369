import { runOutsideCalls } from "../context/call-context.ts";

export interface PollerOptions {
	/** Milliseconds between two turns, unless the loop is woken. */
	readonly intervalMs: number;
	/** Milliseconds that a turn waits for more work to come together, however often the loop is woken; none unless given. */
	readonly gatherMs?: number;
	/** One look for work. True when there is more, so that the next turn follows at once. */
	poll(): Promise<boolean>;
	/** A turn failed; the next one comes after the usual pause. Failures of a last turn, while others stop as well, are not told. */
	onError(error: unknown): void;
}
export interface Poller {
	/** There is work: look at once, or again when a turn is under way. */
	wake(): void;
	/** Waits for the turn under way; there is none after it. */
	stop(): Promise<void>;
}

/** Looks for work again and again, one turn at a time. The first one comes after a pause too, unless the loop is woken. */
export function startPoller({ intervalMs, gatherMs = 0, poll, onError }: PollerOptions): Poller {
	let stopping = false;
	let woken = false;
	let interrupt: (() => void) | undefined;

	async function sleep(milliseconds: number): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		const timer = setTimeout(resolve, milliseconds);
		interrupt = resolve;
		await promise;
		clearTimeout(timer);
	}
	async function pause(): Promise<void> {
		if (!woken && !stopping) await sleep(intervalMs);
		if (gatherMs > 0 && woken && !stopping) {
			// Woken again meanwhile, it goes on waiting for the rest of the time.
			for (const end = performance.now() + gatherMs; !stopping && performance.now() < end; )
				await sleep(Math.max(0, end - performance.now()));
		}
		woken = false;
	}
	async function run(): Promise<void> {
		let more = false;
		while (!stopping) {
			if (!more) await pause();
			if (stopping) return;
			more = await poll().catch((error) => {
				if (!stopping) onError(error);
				return false;
			});
		}
	}

	const running = runOutsideCalls(run);
	return {
		wake() {
			woken = true;
			interrupt?.();
		},
		async stop() {
			stopping = true;
			interrupt?.();
			await running;
		},
	};
}
