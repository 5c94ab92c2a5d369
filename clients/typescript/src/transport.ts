import type { Credentials } from "./credentials.ts";
import type { RequestOptions } from "./options.ts";
import { NetworkError, ProblemError, problemOf } from "./problems.ts";
import type { ApiRequest, Body } from "./requests.ts";
import { pause, pauseAfter } from "./retries.ts";

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 4;

interface Sending extends Pick<RequestOptions, "signal" | "timeout" | "attempts"> {
	readonly credentials: Credentials;
	/** Whether a second request has no further effect. Requests with 429 are always repeated. */
	readonly repeatable: boolean;
}
/** Sends requests to the gateway of a shop. */
export interface Transport {
	/**
	 * Sends a request, repeatedly if necessary, and reads its response. A response that is lost while
	 * it is read counts as a failed attempt.
	 * @throws ProblemError, NetworkError, SessionEndedError, or the reason of an aborted signal
	 */
	send<T>(
		request: ApiRequest,
		sending: Sending,
		read: (response: Response) => Promise<T>,
	): Promise<T>;
}

/** @param url address of the shop; empty for that of the page */
export function transport(url: string, fetch: typeof globalThis.fetch): Transport {
	/** @throws NetworkError */
	async function attempt<T>(
		{ method, path, headers, body }: ApiRequest,
		auth: Readonly<Record<string, string>>,
		{ signal, timeout = TIMEOUT_MS, credentials }: Sending,
		read: (response: Response) => Promise<T>,
		number: number,
	): Promise<T> {
		const late = new AbortController();
		const timer = setTimeout(
			() => late.abort(new Error(`No response within ${timeout} ms`)),
			timeout,
		);
		try {
			const response = await fetch(`${url}/api${path}`, {
				method,
				headers: { ...headers, ...auth },
				signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
				...(body === undefined ? {} : { body }),
				...(isStream(body) ? { duplex: "half" } : {}),
				...(credentials.mode ? { credentials: credentials.mode } : {}),
			} as RequestInit);
			if (!response.ok) throw await problemOf(response, number);
			return await read(response);
		} catch (error) {
			signal?.throwIfAborted();
			if (error instanceof ProblemError || error instanceof NetworkError) throw error;
			throw new NetworkError(`${method} ${path.split("?")[0]} failed`, number, error);
		} finally {
			clearTimeout(timer);
		}
	}

	/** Sends a request, and once more if the credentials were renewed. */
	async function authorized<T>(
		request: ApiRequest,
		sending: Sending,
		read: (response: Response) => Promise<T>,
		number: number,
	): Promise<T> {
		const { credentials } = sending;
		const auth = await credentials.headers();
		try {
			return await attempt(request, auth, sending, read, number);
		} catch (error) {
			const rejected = error instanceof ProblemError && error.code === "UNAUTHENTICATED";
			if (!rejected || isStream(request.body) || !(await credentials.renew(auth))) throw error;
			return attempt(request, await credentials.headers(), sending, read, number);
		}
	}

	return {
		async send(request, sending, read) {
			const { attempts = ATTEMPTS, signal } = sending;
			const repeatable = sending.repeatable && !isStream(request.body);
			for (let number = 1; ; number++) {
				try {
					signal?.throwIfAborted();
					return await authorized(request, sending, read, number);
				} catch (error) {
					const wait =
						number < attempts && !isStream(request.body)
							? pauseAfter(error, number, { repeatable })
							: undefined;
					if (wait === undefined) throw error;
					await pause(wait, signal);
				}
			}
		},
	};
}

/** Whether a body can be sent only once. */
const isStream = (body: Body | undefined): boolean => body instanceof ReadableStream;
