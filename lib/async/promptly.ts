export interface Patience {
	/** Milliseconds after which nobody is waited for. */
	readonly budget: number;
	/** Milliseconds without another answer, once there are some, after which the rest is not waited for. */
	readonly lull: number;
}

/**
 * The results that come promptly, in the order given, and undefined for each that does not: those who answered do not wait for long
 * because of those who do not. A result that comes later, a failure too, is the caller's to pick up from its promise, or to leave.
 */
export function settleWithin<T>(
	promises: readonly Promise<T>[],
	{ budget, lull }: Patience,
): Promise<(PromiseSettledResult<T> | undefined)[]> {
	return new Promise((resolve) => {
		const results: (PromiseSettledResult<T> | undefined)[] = promises.map(() => undefined);
		let open = promises.length;
		let finished = false;
		const finish = () => {
			finished = true;
			clearTimeout(end);
			clearTimeout(quiet);
			resolve(results);
		};
		// A busy event loop runs late timers first: what already lies in the sockets is read before anybody counts as silent.
		const giveUp = () => setImmediate(finish);
		const end = setTimeout(giveUp, budget);
		let quiet: NodeJS.Timeout | undefined;
		const note = (i: number, result: PromiseSettledResult<T>) => {
			if (finished) return;
			results[i] = result;
			if (--open === 0) finish();
			else if (quiet) quiet.refresh();
			else quiet = setTimeout(giveUp, lull);
		};
		if (open === 0) finish();
		promises.forEach((promise, i) => {
			promise.then(
				(value) => note(i, { status: "fulfilled", value }),
				(reason) => note(i, { status: "rejected", reason }),
			);
		});
	});
}
