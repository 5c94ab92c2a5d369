import { signal } from "@preact/signals";
import {
	NetworkError,
	ProblemError,
	SessionEndedError,
} from "../../clients/typescript/src/index.ts";

interface User {
	readonly id: string;
	readonly email: string;
}
/** Signed-in administrator: undefined until the session is known, null without one. */
export const user = signal<User | null | undefined>(undefined);
/** Reason why the session is unknown. */
export const sessionError = signal<unknown>(undefined);

/** Sends a request about the session. @throws ProblemError, NetworkError */
async function request<T>(method: string, path: string, body?: object): Promise<T> {
	const response = await fetch(`/console/session${path}`, {
		method,
		headers: { "Console-Request": "1", ...(body ? { "Content-Type": "application/json" } : {}) },
		...(body ? { body: JSON.stringify(body) } : {}),
	}).catch((error) => {
		throw new NetworkError("The shop does not respond", 1, error);
	});
	const document = response.status === 204 ? {} : await response.json().catch(() => ({}));
	if (!response.ok) throw new ProblemError(response.status, document, response.headers, 1);
	return document;
}

/** Reads the session of the browser's cookies, and renews it if it has expired. */
export async function startSession(): Promise<void> {
	sessionError.value = undefined;
	try {
		const found = await request<{ user: User | null; refreshable: boolean }>("GET", "");
		if (found.user || !found.refreshable) user.value = found.user;
		else await refreshSession();
	} catch (error) {
		if (!(error instanceof SessionEndedError)) sessionError.value = error;
	}
}

/** @throws ProblemError, NetworkError */
export async function signIn(email: string, password: string): Promise<void> {
	user.value = (await request<{ user: User }>("POST", "", { email, password })).user;
}

/** @throws ProblemError, NetworkError; the session then continues */
export async function signOut(): Promise<void> {
	await request("DELETE", "");
	user.value = null;
}

/**
 * Renews the access token. Tabs take turns, because the server ends a session whose refresh token
 * is used twice. Browsers offer locks only to pages of https and of localhost.
 * @throws SessionEndedError, ProblemError, NetworkError
 */
export const refreshSession = (): Promise<void> =>
	navigator.locks ? navigator.locks.request("console-session", renew) : renew();

async function renew(): Promise<void> {
	try {
		user.value = (await request<{ user: User }>("POST", "/refresh")).user;
	} catch (error) {
		const ended = error instanceof ProblemError && (error.status === 401 || error.status === 403);
		if (!ended) throw error;
		user.value = null;
		throw new SessionEndedError(error);
	}
}
