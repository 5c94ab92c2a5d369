import { isOutage } from "../../resilience/outages.ts";

const WORD = /^[\w.:-]{1,64}$/;

/** What kind of failure it was, in a word of ours, of Postgres or of Node; never in a sentence, which may hold anything. */
export function errorKind(error: unknown): string {
	const { type, code, name } = (error ?? {}) as { type?: unknown; code?: unknown; name?: unknown };
	return (
		[type, code, name].find(
			(word): word is string => typeof word === "string" && WORD.test(word),
		) ?? "Error"
	);
}

/** Whether it was an answer that its caller must expect, as 4xx are. */
export function isRefusal(error: unknown): boolean {
	const { code } = (error ?? {}) as { code?: unknown };
	return typeof code === "number" && code >= 400 && code < 500 && !isOutage(error);
}
