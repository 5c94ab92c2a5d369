import { AsyncLocalStorage } from "node:async_hooks";
import { timeLeft } from "../context/call-context.ts";

export interface BoundedQueueOptions {
	/** Maximum number of running tasks. */
	readonly concurrency: number;
	/** Maximum number of waiting tasks. */
	readonly limit: number;
	/** Creates the error of a task that is rejected because the queue is full. */
	full(): Error;
	/** Creates the error of a task whose deadline passed while it waited; it does not run. */
	expired(): Error;
}

/**
 * Runs tasks in order of arrival, each in the log context and trace of its own call. A finished
 * task passes its slot to the task that has waited longest, so that no new task can overtake it.
 */
export function boundedQueue({ concurrency, limit, full, expired }: BoundedQueueOptions) {
	const waiting: (() => void)[] = [];
	let running = 0;
	const drained: (() => void)[] = [];

	function releaseSlot(): void {
		const start = waiting.shift();
		if (start) start();
		else if (--running === 0) for (const resolve of drained.splice(0)) resolve();
	}
	async function execute<T>(task: () => Promise<T>): Promise<T> {
		try {
			return await task();
		} finally {
			releaseSlot();
		}
	}
	const rejectExpired = () => Promise.reject(expired());

	return {
		run<T>(task: () => Promise<T>): Promise<T> {
			if (running < concurrency) {
				running++;
				return execute(task);
			}
			if (waiting.length >= limit) return Promise.reject(full());
			const inContext = AsyncLocalStorage.snapshot();
			return new Promise((resolve, reject) => {
				const start = () => execute(timeLeft() > 0 ? task : rejectExpired).then(resolve, reject);
				waiting.push(() => void inContext(start));
			});
		},
		/** Resolves when no task runs or waits. */
		drained: (): Promise<void> =>
			running === 0 ? Promise.resolve() : new Promise((resolve) => drained.push(resolve)),
	};
}
