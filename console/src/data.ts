import { useEffect, useRef, useState } from "preact/hooks";

/** Data that a component loads. */
export interface Resource<T> {
	/** The last loaded data; undefined before. */
	readonly data: T | undefined;
	/** Error of the last load; undefined if it succeeded. `data` is then not current. */
	readonly error: unknown;
	reload(): void;
}

/** Longest pause in milliseconds between two polls, after failures. */
const LONGEST_MS = 30_000;

/**
 * Loads data when the component is shown and when `inputs` change; the previous data remains until
 * then.
 * @param options.poll milliseconds between two loads while the tab is visible, with backoff after
 * failures
 */
export function useData<T>(
	load: (signal: AbortSignal) => PromiseLike<T>,
	inputs: readonly unknown[],
	{ poll }: { poll?: number | undefined } = {},
): Resource<T> {
	const [state, setState] = useState<{ data?: T; error?: unknown }>({});
	const run = useRef(() => {});
	useEffect(() => {
		const ended = new AbortController();
		let timer: ReturnType<typeof setTimeout> | undefined;
		let failures = 0;
		let running = false;
		/** A reload was requested during a load, which may have read the old data. */
		let again = false;
		async function once(): Promise<void> {
			again = running;
			if (running) return;
			running = true;
			clearTimeout(timer);
			try {
				const data = await load(ended.signal);
				failures = 0;
				if (!ended.signal.aborted) setState({ data });
			} catch (error) {
				failures++;
				if (!ended.signal.aborted) setState(({ data }) => ({ ...(data && { data }), error }));
			}
			running = false;
			if (ended.signal.aborted) return;
			if (again) void once();
			else if (poll !== undefined && document.visibilityState === "visible")
				timer = setTimeout(once, Math.min(poll * 2 ** failures, Math.max(poll, LONGEST_MS)));
		}
		const onVisible = () => {
			if (document.visibilityState === "visible") void once();
			else clearTimeout(timer);
		};
		run.current = () => void once();
		void once();
		if (poll !== undefined) document.addEventListener("visibilitychange", onVisible);
		return () => {
			ended.abort();
			clearTimeout(timer);
			document.removeEventListener("visibilitychange", onVisible);
		};
	}, [...inputs, poll]);
	return { data: state.data, error: state.error, reload: () => run.current() };
}
