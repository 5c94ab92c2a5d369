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
