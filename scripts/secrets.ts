import { randomBytes } from "node:crypto";
import { readOrCreateSecret } from "../lib/process/secret-file.ts";
import { StartError } from "../lib/process/start-error.ts";
import type { Env } from "../lib/settings/env.ts";

/** Services that sign or verify tokens: access tokens, and those of guests' orders. */
const SIGNING = ["api", "auth", "carts", "notifications", "orders"];
/** Parts of secrets in examples and tutorials. Random secrets do not contain them. */
const WELL_KNOWN = /secret|passw|change.?me|example|default|admin|qwert|12345|(.)\1{7}/i;
/** Minimum number of distinct characters: a long secret of few characters is easily guessed. */
const MIN_DISTINCT = 10;
const isGuessable = (value: string): boolean =>
	WELL_KNOWN.test(value) || new Set(value).size < Math.min(MIN_DISTINCT, value.length / 2);

/** @throws StartError if a secret is missing or easily guessed in production */
export function assertSecrets(
	{ NODE_ENV, JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_PASSWORD }: Env,
	services: readonly string[],
): void {
	if (NODE_ENV !== "production") return;
	if (!JWT_SECRET && usesTokens(services))
		throw new StartError(
			"NODE_ENV is production and JWT_SECRET is missing: " +
				"set it to at least 32 random characters, the same on every node",
		);
	for (const [name, value] of Object.entries({ JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_PASSWORD })) {
		if (value && isGuessable(value))
			throw new StartError(
				`NODE_ENV is production and ${name} is easily guessed: set it to random characters`,
			);
	}
}

/**
 * The secret that signs tokens; undefined if no service of this process uses them. Outside
 * production it is generated and stored, so that sessions survive a restart.
 */
export async function jwtSecret(
	{ NODE_ENV, JWT_SECRET }: Env,
	folder: string,
	services: readonly string[],
): Promise<string | undefined> {
	if (JWT_SECRET || NODE_ENV === "production" || !usesTokens(services)) return JWT_SECRET;
	return readOrCreateSecret(folder, "jwt-secret", () => randomBytes(48).toString("base64url"));
}

const usesTokens = (services: readonly string[]) => SIGNING.some((name) => services.includes(name));
