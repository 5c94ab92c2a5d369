import { setTimeout as after } from "node:timers/promises";
import type { Market } from "./buyers.ts";
import type { Finding } from "./checks.ts";
import type { Client } from "./client.ts";
import { random } from "./random.ts";

/** An account whose owner changes the password while an attacker refreshes a stolen session. */
export interface Theft {
	readonly user_id: string;
	/** The access token of the session in which the owner changed the password. */
	readonly valid: string;
	/** Every access token that the attacker got, and the latest refresh token. */
	readonly stolen: string[];
	refresh_token: string;
}
interface Tokens {
	readonly access_token: string;
	readonly refresh_token: string;
}
const PASSWORD = "correct horse";

/**
 * Steals sessions until the market closes. `all` grows by each theft whose password change was
 * confirmed; the attacker refreshes before, during and after it.
 */
export async function runThief(
	number: number,
	{ client, seed, closing, closed }: Market,
	all: Theft[],
): Promise<void> {
	const rng = random(seed * 1000 + 500 + number);
	const send = async <T>(request: string, options: object): Promise<T | undefined> => {
		const response = await client.requestUntilDone("steal", request, options, closed);
		return response && response.status < 400 ? response.body : undefined;
	};
	for (let n = 0; !closing(); n++) {
		const body = { email: `victim-${number}-${n}@example.com`, password: PASSWORD };
		await send("POST /api/users", { body: { ...body, full_name: "A Victim" } });
		const [owner, thief] = [
			await send<Tokens>("POST /api/users/login", { body }),
			await send<Tokens>("POST /api/users/login", { body }),
		];
		const me =
			owner && (await send<{ id: string }>("GET /api/users/me", { token: owner.access_token }));
		if (!owner || !thief || !me) continue;
		const theft: Theft = {
			user_id: me.id,
			valid: owner.access_token,
			stolen: [thief.access_token],
			refresh_token: thief.refresh_token,
		};
		const until = { changed: Number.POSITIVE_INFINITY };
		const refreshing = refresh(
			client,
			theft,
			() => Date.now() > until.changed || closing(),
			rng.between(1, 30),
		);
		await after(rng.between(0, 150));
		const change = {
			token: owner.access_token,
			body: { current_password: PASSWORD, new_password: "battery staple" },
		};
		const changed = await client.requestUntilDone(
			"change password",
			`POST /api/users/${me.id}/password`,
			change,
			closed,
		);
		until.changed = Date.now() + rng.between(0, 300);
		await refreshing;
		// WRONG_PASSWORD: an earlier request has changed it, and its response was lost.
		if (changed?.status === 204 || changed?.body?.code === "WRONG_PASSWORD") all.push(theft);
	}
}

/**
 * Refreshes a stolen session until it has ended. A lost response ends it as well: its token was
 * used.
 */
async function refresh(
	client: Client,
	theft: Theft,
	done: () => boolean,
	pause: number,
): Promise<void> {
	while (!done()) {
		const response = await client.send("refresh", "POST /api/auth/refresh", {
			body: { refresh_token: theft.refresh_token },
		});
		if (response?.status === 200) {
			theft.stolen.push(response.body.access_token);
			theft.refresh_token = response.body.refresh_token;
		} else if (response?.status === 401) return;
		await after(pause);
	}
}

/** Statuses of a request with a token at every gateway, or of a refresh. */
interface Gateways {
	statuses(token: string): Promise<number[]>;
	refresh(refresh_token: string): Promise<number>;
}
export const gatewaysAt = (urls: readonly string[]): Gateways => ({
	statuses: (token) =>
		Promise.all(
			urls.map(
				async (url) =>
					(await fetch(`${url}/api/users/me`, { headers: { authorization: `Bearer ${token}` } }))
						.status,
			),
		),
	async refresh(refresh_token) {
		const headers = { "content-type": "application/json" };
		return (
			await fetch(`${urls[0]}/api/auth/refresh`, {
				method: "POST",
				headers,
				body: JSON.stringify({ refresh_token }),
			})
		).status;
	},
});

/**
 * Stolen sessions that are still accepted after the password change, and owners' sessions that are
 * not.
 */
export async function checkThefts(
	{ statuses, refresh }: Gateways,
	thefts: readonly Theft[],
): Promise<Finding[]> {
	const found: Finding[] = [];
	for (const { user_id, valid, stolen, refresh_token } of thefts) {
		const accepted = (await Promise.all(stolen.map(statuses)))
			.flat()
			.filter((status) => status === 200).length;
		const report = (invariant: string, detail: string) =>
			found.push({ invariant, subject: user_id, detail });
		if (accepted > 0)
			report(
				"STOLEN_SESSION_ALIVE",
				`${accepted} requests with stolen access tokens were accepted`,
			);
		if ((await refresh(refresh_token)) === 200)
			report("STOLEN_SESSION_ALIVE", "a stolen refresh token was accepted");
		if ((await statuses(valid)).includes(401))
			report("OWN_SESSION_ENDED", "the session of the password change was refused");
	}
	return found;
}
