import type { AuthorizeRequest } from "../provider.ts";

/** Response time of the card `tok_slow`. */
export const SLOW_RESPONSE_MS = 3000;
/** Number of attempts at which the card `tok_flaky` fails. */
export const FLAKY_FAILURES = 2;

/** Tokens of payments that the buyer or a bank must decide, by their status until then. */
const WAITING = { tok_3ds: "requires_action", tok_debit: "processing" } as const;
/** Tokens whose refunds are not paid at once. The ledger stores them for the refund. */
export const PENDING_REFUNDS = "tok_refund_pending";
export const FAILING_REFUNDS = "tok_refund_fails";

const validCards = new Set([
	"tok_ok",
	"tok_flaky",
	"tok_slow",
	"tok_timeout",
	PENDING_REFUNDS,
	FAILING_REFUNDS,
	...Object.keys(WAITING),
]);

/** The reason for declining a card; null for a valid card. */
export const declineReason = (token: string): string | null => {
	if (validCards.has(token)) return null;
	return token === "tok_declined" ? "card declined" : "unknown payment method";
};

/** The status of a payment that waits for a decision; undefined if it is decided at once. */
export const waitingStatus = (token: string): "requires_action" | "processing" | undefined =>
	Object.hasOwn(WAITING, token) ? WAITING[token as keyof typeof WAITING] : undefined;

/** Whether refunds of the card wait for a decision or fail. */
export const hasSpecialRefunds = (token: string): boolean =>
	token === PENDING_REFUNDS || token === FAILING_REFUNDS;

/**
 * Whether the request of a `tok_timeout` card stops after the authorization, so that only a
 * repeated request captures it.
 */
export const stopsBeforeCapture = ({ key, token }: Pick<AuthorizeRequest, "key" | "token">) =>
	token === "tok_timeout" && /[13579bdf]$/.test(key);
