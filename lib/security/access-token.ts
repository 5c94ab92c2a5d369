import { createHash, randomUUID } from "node:crypto";
import jwt from "jsonwebtoken";
import type { Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";

/** Claims of an access token. Services accept them without a lookup until the token expires. */
export interface AccessClaims {
	/** ID of the user. */
	readonly sub: string;
	readonly email: string;
	readonly role: NonNullable<Meta["user"]>["role"];
	/** ID of the sign-in that issued the token. */
	readonly session: string;
	/** Token version of the user at sign-in. Increasing the user's version revokes older tokens. */
	readonly version: number;
}

interface VerifiedClaims extends AccessClaims {
	/** Expiry of the token in seconds since 1970. */
	readonly exp: number;
}

/** Lifetime of an access token in seconds. */
export const ACCESS_TOKEN_SECONDS = 900;

const NAME = "moleculer-commerce";

/** ID of a secret in the header of a token. It reveals nothing about the secret. */
const keyId = (secret: string): string =>
	createHash("sha256").update(`key id of ${secret}`).digest("base64url").slice(0, 8);

/** Creates a JWT (RFC 7519) signed with HMAC SHA-256. */
export const signAccessToken = (
	{ sub, email, role, session, version }: AccessClaims,
	secret: string,
): string =>
	jwt.sign({ email, role, session, version }, secret, {
		algorithm: "HS256",
		keyid: keyId(secret),
		issuer: NAME,
		audience: NAME,
		subject: sub,
		jwtid: randomUUID(),
		expiresIn: ACCESS_TOKEN_SECONDS,
	});

export type Verify = (token: string) => VerifiedClaims;
/**
 * Creates a function that verifies tokens of `signAccessToken`. The `kid` of a token selects one of
 * the secrets. The function throws UNAUTHENTICATED for an invalid or expired token.
 */
export function accessTokenVerifier(...secrets: readonly (string | undefined)[]): Verify {
	const keys = new Map(secrets.flatMap((secret) => (secret ? [[keyId(secret), secret]] : [])));
	return (token) => {
		try {
			const secret = keys.get(jwt.decode(token, { complete: true })!.header.kid!)!;
			// The algorithm is fixed, because the header of a token could specify none. `maxAge` rejects
			// a token without expiry.
			return jwt.verify(token, secret, {
				algorithms: ["HS256"],
				issuer: NAME,
				audience: NAME,
				maxAge: ACCESS_TOKEN_SECONDS,
			}) as unknown as VerifiedClaims;
		} catch {
			throw commonError("UNAUTHENTICATED");
		}
	};
}
