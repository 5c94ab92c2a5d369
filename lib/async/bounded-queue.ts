import { AsyncLocalStorage } from "node:async_hooks";
import { timeLeft } from "../context/call-context.ts";

export interface BoundedQueueOptions {
	/** Tasks that run at once. */
	readonly concurrency: number;
	/** Tasks that may wait. */
	readonly limit: number;
	/** The error of a task that finds the queue full. */
	full(): Error;
	/** The error of a task whose call ended while it waited; it does not run. */
	expired(): Error;
}

/**
 * Runs tasks in the order in which they arrive, in the log context and trace of their own calls. A finished task passes its slot on to the
 * longest waiting one, so that no new task can take it first.
 */
export function boundedQueue({ concurrency, limit, full, expired }: BoundedQueueOptions) {
	const waiting: (() => void)[] = [];
	let running = 0;
	const drained: (() => void)[] = [];

	function leave(): void {
		const start = waiting.shift();
		if (start) start();
		else if (--running === 0) for (const resolve of drained.splice(0)) resolve();
	}
	async function execute<T>(task: () => Promise<T>): Promise<T> {
		try {
			return await task();
		} finally {
			leave();
		}
	}
	const refuse = () => Promise.reject(expired());

	return {
		run<T>(task: () => Promise<T>): Promise<T> {
			if (running < concurrency) {
				running++;
				return execute(task);
			}
			if (waiting.length >= limit) return Promise.reject(full());
			const inContext = AsyncLocalStorage.snapshot();
			return new Promise((resolve, reject) => {
				const start = () => execute(timeLeft() > 0 ? task : refuse).then(resolve, reject);
				waiting.push(() => void inContext(start));
			});
		},
		/** Resolves when no task runs or waits. */
		drained: (): Promise<void> =>
			running === 0 ? Promise.resolve() : new Promise((resolve) => drained.push(resolve)),
	};
}
