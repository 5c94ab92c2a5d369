import { randomBytes } from "node:crypto";
import { readOrCreateSecret } from "../lib/process/secret-file.ts";
import { StartError } from "../lib/process/start-error.ts";
import type { Env } from "../lib/settings/env.ts";

const SIGNING = ["api", "auth"];
/** What examples and tutorials are full of; what is random looks like none of it. */
const WELL_KNOWN = /secret|passw|change.?me|example|default|admin|qwert|12345|(.)\1{7}/i;
/** Thirty-two times the same few characters are long and still nothing. */
const DISTINCT = 10;
const isGuessable = (value: string): boolean =>
	WELL_KNOWN.test(value) || new Set(value).size < Math.min(DISTINCT, value.length / 2);

/** @throws StartError if production lacks a secret or has one that anybody could guess */
export function assertSecrets(
	{ NODE_ENV, JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_PASSWORD }: Env,
	services: readonly string[],
): void {
	if (NODE_ENV !== "production") return;
	if (!JWT_SECRET && haveTokens(services))
		throw new StartError(
			"NODE_ENV is production and JWT_SECRET is missing: set it to at least 32 random characters, the same on every node",
		);
	for (const [name, value] of Object.entries({ JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_PASSWORD })) {
		if (value && isGuessable(value))
			throw new StartError(
				`NODE_ENV is production and ${name} is easily guessed: set it to random characters`,
			);
	}
}

/** Signs the access tokens, where this process has to do with them. One that was made stays, so that a restart logs nobody out. */
export async function jwtSecret(
	{ NODE_ENV, JWT_SECRET }: Env,
	folder: string,
	services: readonly string[],
): Promise<string | undefined> {
	if (JWT_SECRET || NODE_ENV === "production" || !haveTokens(services)) return JWT_SECRET;
	return readOrCreateSecret(folder, "jwt-secret", () => randomBytes(48).toString("base64url"));
}

const haveTokens = (services: readonly string[]) => SIGNING.some((name) => services.includes(name));
