import { signal } from "@preact/signals";
import { ProblemError, SessionEndedError } from "../../clients/typescript/src/index.ts";

export interface User {
	readonly id: string;
	readonly email: string;
}
/** Signed-in administrator: undefined until it is known, null without a session. */
export const user = signal<User | null | undefined>(undefined);

const request = (method: string, path: string, body?: object): Promise<Response> =>
	fetch(`/console/session${path}`, {
		method,
		headers: {
			"Console-Request": "1",
			...(body ? { "Content-Type": "application/json" } : {}),
		},
		...(body ? { body: JSON.stringify(body) } : {}),
	});

/** Reads the session of the browser's cookies, and renews it if it has expired. */
export async function startSession(): Promise<void> {
	const response = await request("GET", "");
	const found = (await response.json()) as { user: User | null; refreshable: boolean };
	if (found.user) user.value = found.user;
	else if (found.refreshable) await refreshSession();
	else user.value = null;
}

/** Signs in. @returns an error message for the user, or undefined */
export async function signIn(email: string, password: string): Promise<string | undefined> {
	const response = await request("POST", "", { email, password });
	const body = await response.json();
	if (!response.ok) return body.detail;
	user.value = body.user;
	return undefined;
}

export async function signOut(): Promise<void> {
	const response = await request("DELETE", "");
	if (!response.ok) throw new Error((await response.json()).detail);
	user.value = null;
}

/**
 * Renews the access token. Tabs take turns, because the server ends a session whose refresh token is
 * used twice. Browsers offer locks only to pages of https and of localhost.
 * @throws SessionEndedError
 */
export const refreshSession = (): Promise<void> =>
	navigator.locks ? navigator.locks.request("console-session", renew) : renew();

async function renew(): Promise<void> {
	const response = await request("POST", "/refresh");
	const body = await response.json();
	if (response.ok) user.value = body.user;
	else {
		const error = new ProblemError(response.status, body, response.headers, 1);
		if (error.status !== 401 && error.status !== 403) throw error;
		user.value = null;
		throw new SessionEndedError(error);
	}
}
