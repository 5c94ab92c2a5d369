import { randomUUID } from "node:crypto";
import jwt from "jsonwebtoken";
import type { Meta } from "./contract.ts";
import { commonError } from "./errors.ts";

/** Who an access token speaks for. It is believed without a question to any service until it expires. */
export interface AccessClaims {
	/** The user's id. */
	readonly sub: string;
	readonly email: string;
	readonly role: NonNullable<Meta["user"]>["role"];
	/** The sign-in that this token came from. */
	readonly session: string;
}

export interface VerifiedClaims extends AccessClaims {
	/** When the token expires, in seconds since 1970. */
	readonly exp: number;
}

/** Seconds that an access token is good for. */
export const ACCESS_TOKEN_SECONDS = 900;

const NAME = "moleculer-commerce";

/** A JWT (RFC 7519), signed with HMAC SHA-256. */
export const signAccessToken = ({ sub, email, role, session }: AccessClaims, secret: string): string =>
	jwt.sign({ email, role, session }, secret, {
		algorithm: "HS256",
		issuer: NAME,
		audience: NAME,
		subject: sub,
		jwtid: randomUUID(),
		expiresIn: ACCESS_TOKEN_SECONDS,
	});

/**
 * The claims of a token that `signAccessToken` made with the same secret.
 * @throws UNAUTHENTICATED for any other, and for one that has expired
 */
export function verifyAccessToken(token: string, secret: string): VerifiedClaims {
	try {
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
}
