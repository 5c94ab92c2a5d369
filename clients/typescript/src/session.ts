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
interface IssuedTokens {
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
/** Requests that concern a session itself. */
interface SessionRequests {
	/** Exchanges a refresh token for new tokens. */
	refresh(refreshToken: string): Promise<IssuedTokens>;
	logout(refreshToken: string): Promise<void>;
}
export interface Session {
	readonly credentials: Credentials;
	start(issued: IssuedTokens): Promise<void>;
	/** Ends the session, also if the shop does not respond. */
	end(): Promise<void>;
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

const toTokens = ({ access_token, refresh_token, expires_in }: IssuedTokens): Tokens => ({
	access_token,
	refresh_token,
	expires_at: Date.now() + expires_in * 1000,
});

/** Session of an account. Refreshes an expired access token, once for concurrent requests. */
export function session(store: TokenStore, requests: SessionRequests): Session {
	let refreshing: Promise<void> | undefined;
	const exclusively = (act: () => Promise<void>) => (store.lock ? store.lock(act) : act());

	/** Replaces an access token, unless another client of the storage has already replaced it. */
	async function replace(expired: string): Promise<void> {
		const { access_token, refresh_token } = (await store.get()) ?? {};
		if (access_token !== expired || !refresh_token) return;
		/** Another sign-in or the end of the session takes precedence. */
		const put = async (tokens: Tokens | undefined) => {
			if ((await store.get())?.refresh_token === refresh_token) await store.set(tokens);
		};
		try {
			await put(toTokens(await requests.refresh(refresh_token)));
		} catch (error) {
			// Without a response the session may continue: the next request refreshes again.
			if (!(error instanceof ProblemError) || error.code !== "UNAUTHENTICATED") throw error;
			await put(undefined);
			throw new SessionEndedError(error);
		}
	}
	function refresh(expired: string): Promise<void> {
		refreshing ??= exclusively(() => replace(expired)).finally(() => {
			refreshing = undefined;
		});
		return refreshing;
	}

	return {
		credentials: {
			async headers(): Promise<Record<string, string>> {
				const tokens = await store.get();
				if (!tokens) return {};
				if (!isExpired(tokens)) return bearer(tokens);
				await refresh(tokens.access_token);
				return bearer(await store.get());
			},
			async renew({ authorization }) {
				const tokens = await store.get();
				if (authorization === undefined || !tokens) return false;
				// Another request may have refreshed the token in the meantime.
				if (bearer(tokens).authorization !== authorization) return true;
				if (!tokens.refresh_token) return false;
				await refresh(tokens.access_token);
				return (await store.get()) !== undefined;
			},
		},
		async start(issued) {
			await store.set(toTokens(issued));
		},
		async end() {
			// A refresh in flight replaces the refresh token.
			await refreshing?.catch(() => undefined);
			const tokens = await store.get();
			await store.set(undefined);
			if (tokens?.refresh_token) await requests.logout(tokens.refresh_token);
		},
	};
}

/**
 * Whether a token is known to have expired and can be refreshed. Public actions ignore an invalid
 * token, so the shop does not report every expired one.
 */
const isExpired = ({ refresh_token, expires_at }: Tokens): boolean =>
	refresh_token !== undefined && expires_at !== undefined && expires_at - LEEWAY_MS < Date.now();

const bearer = (tokens: Tokens | undefined): Record<string, string> =>
	tokens ? { authorization: `Bearer ${tokens.access_token}` } : {};
