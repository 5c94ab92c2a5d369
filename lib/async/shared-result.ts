/**
 * Returns a function that shares the results of `load`: concurrent calls share one execution, and
 * calls within `ms` milliseconds after its end receive the same result. Failures are not kept.
 */
export function sharedResult<T>(
	load: () => Promise<T>,
	ms: number,
	now: () => number = performance.now.bind(performance),
): () => Promise<T> {
	let running: Promise<T> | undefined;
	let last: { readonly value: T; readonly until: number } | undefined;
	async function run(): Promise<T> {
		try {
			const value = await load();
			last = { value, until: now() + ms };
			return value;
		} finally {
			running = undefined;
		}
	}
	return async () => {
		if (last && now() < last.until) return last.value;
		last = undefined;
		running ??= run();
		return running;
	};
}
