/** Effect of confirming an intent with a test payment method. */
export interface Behavior {
	readonly type: MethodType;
	/** `debit` remains in `processing` until a test control settles it. */
	readonly flow: "approve" | "decline" | "authenticate" | "debit";
	/** Failure of a declined card or of a debit that is settled as failed. */
	readonly failure?: Failure;
	/** Outcome of refunds, where Stripe has a test card for it. */
	readonly refunds?: "pending" | "fail_later";
	/** Reason of the dispute that follows a successful charge. */
	readonly dispute?: string;
}
export interface Failure {
	readonly code: string;
	readonly declineCode?: string;
	readonly message: string;
}
export type MethodType = keyof typeof METHOD_TYPES;

/**
 * Properties of the supported types. `currency` is the only one that the type supports. `manual`
 * states whether it supports capture after authorization.
 */
export const METHOD_TYPES = {
	card: { manual: true, redirects: false, currency: undefined, last4: "4242" },
	ideal: { manual: false, redirects: true, currency: "eur", last4: undefined },
	sepa_debit: { manual: false, redirects: false, currency: "eur", last4: "3000" },
	us_bank_account: { manual: false, redirects: false, currency: "usd", last4: "6789" },
} as const;

const card = (flow: Behavior["flow"], more: Partial<Behavior> = {}): Behavior => ({
	type: "card",
	flow,
	...more,
});
const declined = (code: string, declineCode: string | undefined, message: string) =>
	card("decline", { failure: { code, message, ...(declineCode && { declineCode }) } });
const bank = (code: string, message: string): Behavior => ({
	type: "us_bank_account",
	flow: "debit",
	failure: { code, message },
});

/**
 * Test payment methods by name, from https://docs.stripe.com/testing. `pm_sepaDebit` and `pm_ideal`
 * exist only here: Stripe creates these two from `payment_method_data`, which works as well.
 */
const BEHAVIORS: Readonly<Record<string, Behavior>> = {
	pm_card_visa: card("approve"),
	pm_card_mastercard: card("approve"),
	pm_card_amex: card("approve"),
	pm_card_chargeDeclined: declined("card_declined", "generic_decline", "Your card was declined."),
	pm_card_chargeDeclinedInsufficientFunds: declined(
		"card_declined",
		"insufficient_funds",
		"Your card has insufficient funds.",
	),
	pm_card_chargeDeclinedLostCard: declined("card_declined", "lost_card", "Your card was declined."),
	pm_card_chargeDeclinedStolenCard: declined(
		"card_declined",
		"stolen_card",
		"Your card was declined.",
	),
	pm_card_chargeDeclinedExpiredCard: declined("expired_card", undefined, "Your card has expired."),
	pm_card_chargeDeclinedIncorrectCvc: declined(
		"incorrect_cvc",
		undefined,
		"Your card's security code is incorrect.",
	),
	pm_card_chargeDeclinedProcessingError: declined(
		"processing_error",
		undefined,
		"An error occurred while processing your card. Try again in a little bit.",
	),
	pm_card_authenticationRequired: card("authenticate"),
	pm_card_threeDSecure2Required: card("authenticate"),
	pm_card_threeDSecureRequired: card("authenticate"),
	pm_card_pendingRefund: card("approve", { refunds: "pending" }),
	pm_card_refundFail: card("approve", { refunds: "fail_later" }),
	pm_card_createDispute: card("approve", { dispute: "fraudulent" }),
	pm_card_createDisputeProductNotReceived: card("approve", { dispute: "product_not_received" }),
	pm_usBankAccount_success: bank("debit_not_authorized", "The debit was not authorized."),
	pm_usBankAccount_accountClosed: bank("account_closed", "The account is closed."),
	pm_usBankAccount_noAccount: bank("no_account", "The account does not exist."),
	pm_usBankAccount_insufficientFunds: bank(
		"insufficient_funds",
		"The account has too little money.",
	),
	pm_usBankAccount_debitNotAuthorized: bank(
		"debit_not_authorized",
		"The debit was not authorized.",
	),
	pm_sepaDebit: {
		type: "sepa_debit",
		flow: "debit",
		failure: { code: "insufficient_funds", message: "The account has too little money." },
	},
	pm_ideal: { type: "ideal", flow: "authenticate" },
};

/** Names with which `payment_method_data[type]` is equivalent. */
export const TOKEN_OF_TYPE: Readonly<Record<MethodType, string>> = {
	card: "pm_card_visa",
	ideal: "pm_ideal",
	sepa_debit: "pm_sepaDebit",
	us_bank_account: "pm_usBankAccount_success",
};

/** Behavior of a test payment method, or undefined if there is no such method. */
export function behaviorOf(token: string): Behavior | undefined {
	// Stripe's documentation uses both pm_card_chargeDeclined and pm_card_visa_chargeDeclined.
	const name = token.replace(/^pm_card_visa_(?=charge)/, "pm_card_").replace(/^tok_/, "pm_card_");
	return Object.hasOwn(BEHAVIORS, name) ? BEHAVIORS[name] : undefined;
}

export const isMethodType = (type: string): type is MethodType => Object.hasOwn(METHOD_TYPES, type);

/** Types that Stripe offers for a currency when a client does not restrict them. */
export const typesFor = (currency: string, manual: boolean): MethodType[] =>
	(Object.keys(METHOD_TYPES) as MethodType[]).filter((type) => {
		const { currency: only, manual: supportsManual } = METHOD_TYPES[type];
		return (only === undefined || only === currency) && (supportsManual || !manual);
	});
