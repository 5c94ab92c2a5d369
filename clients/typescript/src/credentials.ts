import { NetworkError, ProblemError, SessionEndedError } from "./problems.ts";

/** Identifies the caller of a request. */
export interface Credentials {
	/** Headers of a request. @throws SessionEndedError */
	headers(): Promise<Readonly<Record<string, string>>>;
	/**
	 * Renews the credentials that a request was rejected with.
	 * @param rejected headers of the rejected request
	 * @returns whether to repeat the request
	 * @throws SessionEndedError
	 */
	renew(rejected: Readonly<Record<string, string>>): Promise<boolean>;
	/** Value of fetch's option of the same name. */
	readonly mode?: "same-origin";
}

export const anonymous: Credentials = {
	headers: async () => ({}),
	renew: async () => false,
};

/** One access token, which cannot be refreshed. */
export const fixedToken = (token: string): Credentials => ({
	headers: async () => ({ authorization: `Bearer ${token}` }),
	renew: async () => false,
});

/**
 * Session in cookies that the shop has set, such as that of the console. The header protects
 * against requests of other sites, which cannot set it.
 * @param refresh renews the cookies; concurrent requests share one call
 */
export function cookieCredentials(refresh: (() => Promise<unknown>) | undefined): Credentials {
	let refreshing: Promise<void> | undefined;
	/** Number of refreshes so far: a request that was sent before one is only repeated. */
	let generation = 0;
	const sent = new WeakMap<object, number>();

	async function renewCookies(act: () => Promise<unknown>): Promise<void> {
		try {
			await act();
			generation++;
		} catch (error) {
			throw isOwn(error) ? error : new NetworkError("The session could not be refreshed", 1, error);
		} finally {
			refreshing = undefined;
		}
	}
	return {
		mode: "same-origin",
		async headers() {
			const headers = { "Console-Request": "1" };
			sent.set(headers, generation);
			return headers;
		},
		async renew(rejected) {
			if (!refresh) return false;
			if (sent.get(rejected) !== generation) return true;
			refreshing ??= renewCookies(refresh);
			await refreshing;
			return true;
		},
	};
}

const isOwn = (error: unknown): boolean =>
	error instanceof ProblemError ||
	error instanceof NetworkError ||
	error instanceof SessionEndedError;
