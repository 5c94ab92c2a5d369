import { runOutsideCalls } from "../context/call-context.ts";

interface PollerOptions {
	/** Milliseconds between two polls, unless the poller is woken. */
	readonly intervalMs: number;
	/**
	 * Limit of the milliseconds that a poll returns, and so the delay of work that another process
	 * has added or left; by default `intervalMs`.
	 */
	readonly idleMs?: number;
	/**
	 * Milliseconds that a woken poller waits for more work, however often it is woken; 0 by default.
	 */
	readonly gatherMs?: number;
	/**
	 * Looks for work once. Resolves to true to poll again immediately, to false to poll after the
	 * interval, or to the milliseconds until the next known work is due: the next poll follows then,
	 * but not before the interval and not after `idleMs`.
	 */
	poll(): Promise<boolean | number>;
	/**
	 * Receives the error of a failed poll; the next poll follows after the interval. Errors during
	 * `stop` are not reported, because other parts stop as well.
	 */
	onError(error: unknown): void;
}
export interface Poller {
	/** Polls immediately, or once more if a poll is running. */
	wake(): void;
	/** Waits for the running poll; no other follows. */
	stop(): Promise<void>;
}

/** Polls for work repeatedly, without overlap. The first poll waits for the interval or `wake`. */
export function startPoller({
	intervalMs,
	idleMs = intervalMs,
	gatherMs = 0,
	poll,
	onError,
}: PollerOptions): Poller {
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
	async function pause(milliseconds: number): Promise<void> {
		if (!woken && !stopping) await sleep(milliseconds);
		if (gatherMs > 0 && woken && !stopping) {
			// Waking interrupts the sleep, so wait for the remaining time again.
			for (const end = performance.now() + gatherMs; !stopping && performance.now() < end; )
				await sleep(Math.max(0, end - performance.now()));
		}
		woken = false;
	}
	async function run(): Promise<void> {
		let found: boolean | number = false;
		while (!stopping) {
			if (found !== true)
				await pause(found === false ? intervalMs : Math.max(intervalMs, Math.min(found, idleMs)));
			if (stopping) return;
			found = await poll().catch((error) => {
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

/** Pollers of one owner, which wake and stop together. */
export interface PollerGroup extends Poller {
	/** Starts a poller that belongs to the group, see {@link startPoller}. */
	start(options: PollerOptions): Poller;
}

/** Creates a group without pollers. */
export function pollerGroup(): PollerGroup {
	const pollers: Poller[] = [];
	return {
		start(options) {
			const poller = startPoller(options);
			pollers.push(poller);
			return poller;
		},
		wake() {
			for (const poller of pollers) poller.wake();
		},
		async stop() {
			await Promise.all(pollers.map((poller) => poller.stop()));
		},
	};
}
