import { createHash, randomUUID } from "node:crypto";
import jwt from "jsonwebtoken";
import type { Meta } from "../contracts/contract.ts";
import { commonError } from "../contracts/errors.ts";

/** Who an access token speaks for. It is believed without a question to any service until it expires. */
export interface AccessClaims {
	/** The user's id. */
	readonly sub: string;
	readonly email: string;
	readonly role: NonNullable<Meta["user"]>["role"];
	/** The sign-in that this token came from. */
	readonly session: string;
	/** Of the user's tokens; those with a lower one than the user has by now can be revoked together. */
	readonly version: number;
}

export interface VerifiedClaims extends AccessClaims {
	/** When the token expires, in seconds since 1970. */
	readonly exp: number;
}

/** Seconds that an access token is good for. */
export const ACCESS_TOKEN_SECONDS = 900;

const NAME = "moleculer-commerce";

/** Tells secrets apart in a token's header without telling anything of them. */
const keyId = (secret: string): string =>
	createHash("sha256").update(`key id of ${secret}`).digest("base64url").slice(0, 8);

/** A JWT (RFC 7519), signed with HMAC SHA-256. */
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
 * Reads the claims of tokens that `signAccessToken` made with one of these secrets; the token says which, by its `kid`.
 * The result throws UNAUTHENTICATED for any other token, and for one that has expired.
 */
export function accessTokenVerifier(...secrets: readonly (string | undefined)[]): Verify {
	const keys = new Map(secrets.flatMap((secret) => (secret ? [[keyId(secret), secret]] : [])));
	return (token) => {
		try {
			const secret = keys.get(jwt.decode(token, { complete: true })!.header.kid!)!;
			// The algorithm is ours to choose: a token's own header could ask for none. `maxAge` refuses a token that never expires.
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
