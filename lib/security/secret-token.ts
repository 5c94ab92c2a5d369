import { createHash, randomBytes } from "node:crypto";

/** Generates a token of 256 random bits for use in a link. Store only its digest. */
export const makeSecretToken = (): string => randomBytes(32).toString("base64url");

/**
 * Digest of a secret token, for storage. The token is random, so neither a salt nor a slow hash
 * would improve security.
 */
export const digest = (token: string): Buffer => createHash("sha256").update(token).digest();

/** Generates a token of 128 random bits that is sent in a header, in base64url. */
export const makeShortToken = (): string => randomBytes(16).toString("base64url");
