import { createHash, randomBytes } from "node:crypto";

/** 256 random bits as text that fits into a link. Whoever has it is believed, so only its digest is ever stored. */
export const makeSecretToken = (): string => randomBytes(32).toString("base64url");

/** What is stored of a secret token. It is random already, so neither salt nor a slow hash adds anything. */
export const digest = (token: string): Buffer => createHash("sha256").update(token).digest();
