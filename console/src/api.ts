import { createClient, NetworkError, ProblemError } from "../../clients/typescript/src/index.ts";
import { refreshSession } from "./session.ts";

/** Client for changes: repeats a request whose response is lost, which has no further effect. */
export const shop = createClient({ credentials: "cookie", refresh: refreshSession });
/** Client for reads: one attempt, because pages show the error with "Retry", and poll. */
export const reads = shop.with({ attempts: 1, timeout: 10_000 });

/** Describes an error in words for the user. */
export function messageOf(error: unknown): string {
	if (error instanceof ProblemError) {
		const { status, code, detail, request_id } = error;
		if (status === 503) return "The service does not respond.";
		return status >= 500 ? `${detail} (${code}, request ${request_id})` : sentence(detail);
	}
	if (error instanceof NetworkError) return "The shop does not respond. Check your connection.";
	return sentence(error instanceof Error ? error.message : String(error));
}

const sentence = (text: string): string => (/[.!?)]$/.test(text) ? text : `${text}.`);

/**
 * Creates the Idempotency-Keys of a dialog: a submission that is repeated without a change has the
 * same key, so it takes effect once.
 */
export function idempotencyKeys(): (params: object) => string {
	const keys = new Map<string, string>();
	return (params) => {
		const text = JSON.stringify(params);
		const key = keys.get(text) ?? randomKey();
		keys.set(text, key);
		return key;
	};
}

/** `crypto.randomUUID` exists only on pages that were loaded by https. */
const randomKey = (): string =>
	Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
		byte.toString(16).padStart(2, "0"),
	).join("");
