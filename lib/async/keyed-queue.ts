import { type BoundedQueueOptions, boundedQueue } from "./bounded-queue.ts";

/**
 * Returns a function that runs the tasks of a key one after the other, in order of arrival, and
 * those of different keys at the same time. The limit applies to each key.
 */
export function keyedQueue(options: Omit<BoundedQueueOptions, "concurrency">) {
	const queues = new Map<string, { readonly run: Run; tasks: number }>();
	return async function run<T>(key: string, task: () => Promise<T>): Promise<T> {
		const queue = queues.get(key) ?? {
			run: boundedQueue({ ...options, concurrency: 1 }).run,
			tasks: 0,
		};
		queues.set(key, queue);
		queue.tasks++;
		try {
			return await queue.run(task);
		} finally {
			if (--queue.tasks === 0) queues.delete(key);
		}
	};
}
type Run = ReturnType<typeof boundedQueue>["run"];
