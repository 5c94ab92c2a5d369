import type { AuthorizeRequest } from "../provider.ts";

/** Response time of the card `tok_slow`. */
export const SLOW_RESPONSE_MS = 3000;
/** Number of attempts at which the card `tok_flaky` fails. */
export const FLAKY_FAILURES = 2;

const validCards = new Set(["tok_ok", "tok_flaky", "tok_slow", "tok_timeout"]);

/** The reason for declining a card; null for a valid card. */
export const declineReason = (token: string): string | null => {
	if (validCards.has(token)) return null;
	return token === "tok_declined" ? "card declined" : "unknown payment method";
};

/**
 * Whether the request of a `tok_timeout` card stops after the authorization, so that only a
 * repeated request captures it.
 */
export const stopsBeforeCapture = ({ key, token }: Pick<AuthorizeRequest, "key" | "token">) =>
	token === "tok_timeout" && /[13579bdf]$/.test(key);
