import { NetworkError, ProblemError } from "./problems.ts";

/** Milliseconds of the first pause, at most, and of the longest Retry-After that is respected. */
const FIRST_MS = 250;
const LONGEST_MS = 10_000;
const LONGEST_RETRY_AFTER_MS = 30_000;

/**
 * Milliseconds before the next attempt: doubles with each failure. Jitter shortens it by up to
 * half, so that the clients of a failed shop do not all return at the same time.
 */
export const backoff = (failures: number): number =>
	Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 30)) * (1 - Math.random() / 2);

/** Milliseconds of Retry-After: seconds, or a time. */
export function retryAfter(headers: Headers, now = Date.now()): number | undefined {
	const value = headers.get("retry-after");
	if (!value) return undefined;
	if (/^\d+$/.test(value)) return Number(value) * 1000;
	const time = Date.parse(value);
	return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}

/** Whether a failed request may be repeated, and after how many milliseconds; else undefined. */
export function pauseAfter(
	error: unknown,
	attempt: number,
	{ repeatable }: { readonly repeatable: boolean },
): number | undefined {
	if (error instanceof NetworkError) return repeatable ? backoff(attempt) : undefined;
	if (!(error instanceof ProblemError)) return undefined;
	if (!isTransient(error, attempt) || (!repeatable && error.status !== 429)) return undefined;
	const requested = retryAfter(error.headers) ?? 0;
	return requested > LONGEST_RETRY_AFTER_MS ? undefined : requested + backoff(attempt);
}

/**
 * Only 429 states that the request had no effect. 502, 503 and 504 may come from a proxy, or report
 * a lost result.
 */
function isTransient({ status, code }: ProblemError, attempt: number): boolean {
	// The previous attempt, whose response was lost, is still running.
	if (code === "IDEMPOTENCY_KEY_IN_USE") return attempt > 1;
	return status === 429 || status === 502 || status === 503 || status === 504;
}

/** Waits. @throws the reason of the signal if it is aborted */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
	signal?.throwIfAborted();
	return new Promise((resolve, reject) => {
		const done = () => {
			signal?.removeEventListener("abort", abort);
			resolve();
		};
		const abort = () => {
			clearTimeout(timer);
			reject(signal!.reason);
		};
		const timer = setTimeout(done, ms);
		signal?.addEventListener("abort", abort, { once: true });
	});
}
