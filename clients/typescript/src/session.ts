import type { Credentials } from "./credentials.ts";
import { ProblemError, SessionEndedError } from "./problems.ts";

/** Tokens of a session. */
export interface Tokens {
	readonly access_token: string;
	readonly refresh_token?: string;
	/** Time at which the access token expires, in milliseconds since 1970. */
	readonly expires_at?: number;
}
/** Response to a sign-in or refresh. */
export interface IssuedTokens {
	readonly access_token: string;
	readonly refresh_token: string;
	/** Seconds. */
	readonly expires_in: number;
}
/** Storage of a session's tokens. */
export interface TokenStore {
	get(): Tokens | undefined | Promise<Tokens | undefined>;
	/** Undefined after the end of the session. */
	set(tokens: Tokens | undefined): void | Promise<void>;
	/**
	 * Runs `act` while no other client of the same storage does, for example with
	 * `navigator.locks.request`: the shop ends a session whose refresh token is used twice.
	 */
	lock?<T>(act: () => Promise<T>): Promise<T>;
}

/** Milliseconds before its end at which a token counts as expired. */
const LEEWAY_MS = 5000;

export function memoryStore(tokens?: Tokens): TokenStore {
	let current = tokens;
	return {
		get: () => current,
		set(next) {
			current = next;
		},
	};
}

export const toTokens = ({ access_token, refresh_token, expires_in }: IssuedTokens): Tokens => ({
	access_token,
	refresh_token,
	expires_at: Date.now() + expires_in * 1000,
});

/**
 * Session of an account. Refreshes an expired access token; concurrent requests share one refresh.
 * @param exchange sends a refresh token to the shop
 */
export function sessionCredentials(
	store: TokenStore,
	exchange: (refreshToken: string) => Promise<IssuedTokens>,
): Credentials {
	let refreshing: Promise<void> | undefined;

	/** Replaces the tokens, unless another client of the storage has already replaced them. */
	async function replace(expired: string): Promise<void> {
		const { access_token, refresh_token } = (await store.get()) ?? {};
		if (access_token !== expired || !refresh_token) return;
		try {
			await store.set(toTokens(await exchange(refresh_token)));
		} catch (error) {
			// Without a response the session may continue: the next request refreshes again.
			if (!(error instanceof ProblemError) || error.status !== 401) throw error;
			await store.set(undefined);
			throw new SessionEndedError(error);
		}
	}
	function refresh(expired: string): Promise<void> {
		const act = () => replace(expired);
		refreshing ??= (store.lock ? store.lock(act) : act()).finally(() => {
			refreshing = undefined;
		});
		return refreshing;
	}

	return {
		async headers() {
			let tokens = await store.get();
			const expires = tokens?.expires_at;
			// Public actions ignore an invalid token, so the shop does not always report an expired one.
			if (tokens?.refresh_token && expires !== undefined && expires - LEEWAY_MS < Date.now()) {
				await refresh(tokens.access_token);
				tokens = await store.get();
			}
			const headers: Record<string, string> = {};
			if (tokens) headers.authorization = `Bearer ${tokens.access_token}`;
			return headers;
		},
		async renew({ authorization }) {
			const expired = authorization?.replace(/^Bearer /, "");
			if (expired === undefined) return false;
			const before = await store.get();
			if (before?.access_token === expired && !before.refresh_token) return false;
			await refresh(expired);
			return (await store.get()) !== undefined;
		},
	};
}
