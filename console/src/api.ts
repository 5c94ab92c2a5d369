import {
	createClient,
	NetworkError,
	ProblemError,
	SessionEndedError,
} from "../../clients/typescript/src/index.ts";
import { refreshSession } from "./session.ts";

/** Client of the shop, with the session in the console's cookies. */
export const shop = createClient({ credentials: "cookie", refresh: refreshSession });

/** One attempt: for a request that is repeated by polling. */
export const ONCE = { attempts: 1, timeout: 10_000 } as const;

/** Describes an error in words for the user. */
export function messageOf(error: unknown): string {
	if (error instanceof ProblemError) {
		if (error.status === 503) return "The service does not respond.";
		const { code, detail, request_id } = error;
		return error.status >= 500 ? `${detail} (${code}, request ${request_id})` : detail;
	}
	if (error instanceof NetworkError) return "The shop does not respond. Check your connection.";
	if (error instanceof SessionEndedError) return "Your session has ended.";
	return error instanceof Error ? error.message : String(error);
}
