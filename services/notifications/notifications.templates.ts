import type { Value } from "../../lib/contracts/schema.ts";
import { escapeHtml } from "../../lib/text/html.ts";
import type { notification } from "./notifications.contract.ts";

export type Template = Value<typeof notification.template>;
interface OrderData {
	readonly order_id: string;
	readonly total_amount: number;
	readonly currency: string;
}
/** What each template is filled with. */
export interface TemplateData {
	/** Without the link where it may not be shown. */
	readonly welcome: { readonly link?: string };
	readonly verify_email: { readonly link?: string };
	readonly password_reset: { readonly link?: string };
	/**
	 * `to`: the recipient, until the message is sent. `taken`: the new address has an account,
	 * which only its owner may learn.
	 */
	readonly email_change: {
		readonly change_id: number;
		readonly to?: string;
		readonly link?: string;
		readonly taken?: true;
	};
	readonly email_change_notice: {
		readonly change_id: number;
		readonly to?: string;
		readonly link?: string;
	};
	readonly order_confirmed: OrderData;
	readonly order_shipped: OrderData;
	readonly order_delivered: OrderData;
	/** The reason is a code or somebody's own words. */
	readonly order_cancelled: OrderData & { readonly reason: string };
}
export interface Mail {
	readonly subject: string;
	readonly text: string;
	readonly html: string;
}

type Paragraph = string | { readonly link: string };
interface Letter {
	readonly subject: string;
	readonly body: readonly Paragraph[];
}

/** A link to follow, or where it is. @param call that a program makes instead of following it */
const invitation = (words: string, call: string, link: string | undefined): Paragraph[] =>
	link
		? [words, { link }, `A program sends the token in this link to ${call} instead.`]
		: ["The link is only in the message that was mailed to you."];

const letters: { readonly [T in Template]: (data: TemplateData[T]) => Letter } = {
	welcome: ({ link }) => ({
		subject: "Welcome to the shop",
		body: [
			"Your account is ready.",
			...invitation("Please confirm your e-mail address:", "POST /api/users/verify-email", link),
			"If you did not register, you need not do anything.",
		],
	}),
	verify_email: ({ link }) => ({
		subject: "Please confirm your new e-mail address",
		body: [
			"The e-mail address of your account was changed to this one.",
			...invitation("Please confirm it:", "POST /api/users/verify-email", link),
			"If you have no account with us, you need not do anything.",
		],
	}),
	password_reset: ({ link }) => ({
		subject: "Set a new password",
		body: [
			"Somebody, we hope it was you, wants a new password for your account.",
			...invitation(
				"This link, good for an hour, sets one:",
				"POST /api/users/password-reset/confirm",
				link,
			),
			"If it was not you, you need not do anything: your password is still the same.",
		],
	}),
	email_change: ({ link, taken }) => ({
		subject: "Your e-mail address at the shop",
		body: taken
			? [
					"We received a request to use this e-mail address for another account. It has an account already.",
					"If you made the request, sign in with this address, or set a new password if you forgot it.",
					"If you did not, ignore this message.",
				]
			: [
					"We received a request to use this e-mail address for an account at the shop.",
					...invitation(
						"To confirm it, use this link within 48 hours:",
						"POST /api/users/email-change/confirm",
						link,
					),
					"If you did not make the request, do not use the link.",
				],
	}),
	email_change_notice: ({ link }) => ({
		subject: "The e-mail address of your account changes",
		body: [
			"A change of the e-mail address of your account was requested, or made by an administrator.",
			"If you agree with it, ignore this message.",
			...invitation(
				"If you do not, use this link within seven days. It restores this address, ends all sessions and sets a new password:",
				"POST /api/users/email-change/undo",
				link,
			),
		],
	}),
	order_confirmed: ({ order_id, ...sum }) => ({
		subject: `Order ${order_id} is confirmed`,
		body: [
			`Thank you for your order ${order_id}. It is confirmed and paid: ${amount(sum)}.`,
			"We write again when it is on its way.",
		],
	}),
	order_shipped: ({ order_id }) => ({
		subject: `Order ${order_id} is on its way`,
		body: [`Your order ${order_id} was handed to the carrier.`],
	}),
	order_delivered: ({ order_id }) => ({
		subject: `Order ${order_id} was delivered`,
		body: [`Your order ${order_id} was delivered. We hope that you enjoy it.`],
	}),
	order_cancelled: ({ order_id, reason, ...sum }) => ({
		subject: `Order ${order_id} was cancelled`,
		body: [
			`Your order ${order_id} over ${amount(sum)} was cancelled: ${inWords(reason)}.`,
			"You owe us nothing; what you have paid for it is refunded in full.",
		],
	}),
};

const reasons = new Map([
	["OUT_OF_STOCK", "we do not have enough of what you ordered"],
	["PAYMENT_DECLINED", "the payment was declined"],
	["UNDELIVERABLE", "we cannot deliver to the address that you gave"],
	["TIMED_OUT", "we could not complete it in time"],
]);
/** Why an order was cancelled, as its customer reads it. Codes that we have no words for stay inside. */
export const inWords = (reason: string): string =>
	reasons.get(reason) ??
	(/^[A-Z][A-Z0-9_]+$/.test(reason) ? "it could not be completed" : reason.replace(/\.$/, ""));

/** A user's reason is left out; a code is not theirs. */
const withoutOwnWords = <D extends object>(data: D): D =>
	"reason" in data && typeof data.reason === "string" && !reasons.has(data.reason)
		? { ...data, reason: "CANCELLED" }
		: data;

/** Making one takes a hundred times as long as using it. */
const formats = new Map<string, Intl.NumberFormat>();

/** An amount in major units with its currency. */
function amount({ total_amount, currency }: Pick<OrderData, "total_amount" | "currency">): string {
	// Intl throws at what is no currency code.
	if (!/^[A-Z]{3}$/i.test(currency)) return `${total_amount.toFixed(2)} ${currency}`;
	const format =
		formats.get(currency) ?? new Intl.NumberFormat("en", { style: "currency", currency });
	formats.set(currency, format);
	return format.format(total_amount);
}

/** A line break in a header would begin another header. */
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

/** The subject alone, which needs no recipient. */
export const subjectOf = <T extends Template>(template: T, data: TemplateData[T]): string =>
	oneLine(letters[template](data).subject);

/**
 * A message as its recipient reads it. Every value is escaped in the HTML.
 * @param name of a recipient who has proved to read this mail. Without it the message has no words
 * of a user in it: they could be sent to a stranger.
 */
export function render<T extends Template>(
	template: T,
	data: TemplateData[T],
	name?: string,
): Mail {
	const subject = subjectOf(template, data);
	const body = letters[template](name === undefined ? withoutOwnWords(data) : data).body;
	const paragraphs: Paragraph[] = [
		name ? `Hello ${oneLine(name)},` : "Hello,",
		...body,
		"The shop",
	];
	const html = paragraphs.map((paragraph) => {
		if (typeof paragraph === "string") return `<p>${escapeHtml(paragraph)}</p>`;
		const link = escapeHtml(paragraph.link);
		return `<p><a href="${link}">${link}</a></p>`;
	});
	return {
		subject,
		text: `${paragraphs.map((paragraph) => (typeof paragraph === "string" ? paragraph : paragraph.link)).join("\n\n")}\n`,
		html: `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>\n<body>\n${html.join("\n")}\n</body></html>\n`,
	};
}
