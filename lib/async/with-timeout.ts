/**
 * Waits for a promise for at most `ms` milliseconds.
 *
 * Settles like the promise, or resolves to undefined after the timeout. It does not cancel the work
 * behind the promise; a later result or failure is ignored. The timer keeps no process alive.
 *
 * A busy event loop runs expired timers before it reads sockets. The timeout therefore takes effect
 * one turn later, so that a response that has already arrived still counts.
 */
export function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => setImmediate(resolve, undefined), ms).unref();
		promise.then(
			(value) => {
				clearTimeout(timer);
				resolve(value);
			},
			(error) => {
				clearTimeout(timer);
				reject(error);
			},
		);
	});
}
