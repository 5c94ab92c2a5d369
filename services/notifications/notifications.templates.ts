import type { Value } from "../../lib/contracts/schema.ts";
import { formatAmount } from "../../lib/money/format-amount.ts";
import { escapeHtml } from "../../lib/text/html.ts";
import type { notification } from "./notifications.contract.ts";
import { type OrderAmounts, type OrderDetails, summarize } from "./notifications.order-summary.ts";

export type Template = Value<typeof notification.template>;
/** `to`: the address of a guest, until the message is sent. `link` and `details` are not stored. */
interface OrderData extends OrderAmounts {
	readonly order_id: string;
	readonly to?: string;
	readonly link?: string;
	readonly details?: OrderDetails;
}
/** Data of each template. The link is missing if it must not be shown. */
export interface TemplateData {
	readonly welcome: { readonly link?: string };
	/** `requested`: the user requested a new link, and has not changed the address. */
	readonly verify_email: { readonly requested?: true; readonly link?: string };
	readonly password_reset: { readonly link?: string };
	/**
	 * `to`: the recipient, until the message is sent. `taken`: the new address already has an
	 * account, which only its owner may learn.
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
	/** `reason`: a code, or text that a user entered. */
	readonly order_cancelled: OrderData & { readonly reason: string };
	/** `total_amount` is the amount of the refund. */
	readonly late_payment_refunded: OrderData;
}
interface RenderedMessage {
	readonly subject: string;
	readonly text: string;
	readonly html: string;
}

type Paragraph = string | { readonly link: string } | { readonly lines: readonly string[] };
interface Letter {
	readonly subject: string;
	readonly body: readonly Paragraph[];
}

const templates: { readonly [T in Template]: (data: TemplateData[T]) => Letter } = {
	welcome: ({ link }) => ({
		subject: "Welcome to the shop",
		body: [
			"Your account is ready.",
			...linkParagraphs(
				"Please confirm your e-mail address:",
				"POST /api/users/verify-email",
				link,
			),
			"If you did not create this account, you can ignore this message.",
		],
	}),
	verify_email: ({ requested, link }) => ({
		subject: "Please confirm your e-mail address",
		body: [
			requested
				? "You requested a new link to confirm the e-mail address of your account."
				: "The e-mail address of your account was changed to this one.",
			...linkParagraphs("Please confirm it:", "POST /api/users/verify-email", link),
			"If you do not have an account with us, you can ignore this message.",
		],
	}),
	password_reset: ({ link }) => ({
		subject: "Set a new password",
		body: [
			"We received a request to set a new password for your account.",
			...linkParagraphs(
				"To set it, use this link within one hour:",
				"POST /api/users/password-reset/confirm",
				link,
			),
			"If you did not make the request, ignore this message. Your password has not changed.",
		],
	}),
	email_change: ({ link, taken }) => ({
		subject: "Your e-mail address at the shop",
		body: taken
			? [
					"We received a request to use this e-mail address for another account.",
					"This address already has an account.",
					"If you made the request, sign in with this address, or set a new password.",
					"If you did not make the request, you can ignore this message.",
				]
			: [
					"We received a request to use this e-mail address for an account at the shop.",
					...linkParagraphs(
						"To confirm it, use this link within 48 hours:",
						"POST /api/users/email-change/confirm",
						link,
					),
					"If you did not make the request, do not use the link.",
				],
	}),
	email_change_notice: ({ link }) => ({
		subject: "The e-mail address of your account is changing",
		body: [
			"A change of your account's e-mail address was requested, or made by an administrator.",
			"If you agree with the change, you can ignore this message.",
			"If you do not agree, you can undo it within seven days.",
			...linkParagraphs(
				"This link restores the address, ends all sessions and sets a new password:",
				"POST /api/users/email-change/undo",
				link,
			),
		],
	}),
	order_confirmed: (order) => ({
		subject: `Order ${order.order_id} is confirmed`,
		body: [
			`Thank you for your order ${order.order_id}. It is confirmed and paid: ${totalOf(order)}.`,
			...summarize(order.details ?? order).map((lines) => ({ lines })),
			"We will write again when it ships.",
			...orderLink(order),
		],
	}),
	order_shipped: (order) => ({
		subject: `Order ${order.order_id} has shipped`,
		body: [`Your order ${order.order_id} is on its way to you.`, ...orderLink(order)],
	}),
	order_delivered: (order) => ({
		subject: `Order ${order.order_id} was delivered`,
		body: [
			`Your order ${order.order_id} was delivered. We hope you enjoy it.`,
			...orderLink(order),
		],
	}),
	order_cancelled: (order) => ({
		subject: `Order ${order.order_id} was cancelled`,
		body: [
			`Your order ${order.order_id} was cancelled: ${cancellationReason(order.reason)}.`,
			`You do not owe anything. If you have paid ${totalOf(order)}, it is refunded in full.`,
			...orderLink(order),
		],
	}),
	late_payment_refunded: (order) => ({
		subject: `Your payment for order ${order.order_id} was refunded`,
		body: [
			`Your payment for order ${order.order_id} arrived after the order was cancelled.`,
			`We have refunded ${totalOf(order)}. You do not have to do anything.`,
			...orderLink(order),
		],
	}),
};

/** The subject alone, which does not depend on the recipient. */
export const subjectOf = <T extends Template>(template: T, data: TemplateData[T]): string =>
	oneLine(templates[template](data).subject);

/** Stands for the ID of an order; no search contains it. */
const ANY_ID = "\u{10ffff}";
/** Templates whose subject contains a text, apart from the ID of the order; ignores case. */
export function templatesWithSubject(text: string): Template[] {
	const data = { order_id: ANY_ID, total_amount: 0, currency: "EUR", change_id: 0, reason: "" };
	return (Object.keys(templates) as Template[]).filter((template) =>
		subjectOf(template, data)
			.toLowerCase()
			.split(ANY_ID)
			.some((part) => part.includes(text.toLowerCase())),
	);
}

/**
 * Renders a message as text and HTML. Every value is escaped in the HTML.
 * @param name of a recipient whose address is verified. Without it, the message contains no text
 * that a user entered, because it could go to a stranger.
 */
export function render<T extends Template>(
	template: T,
	data: TemplateData[T],
	name?: string,
): RenderedMessage {
	const subject = subjectOf(template, data);
	const { body } = templates[template](name === undefined ? withoutUserText(data) : data);
	const greeting = name ? `Hello ${oneLine(name)},` : "Hello,";
	const paragraphs: Paragraph[] = [greeting, ...body, "The shop"];
	const text = paragraphs.map((part) => {
		if (typeof part === "string") return part;
		return "lines" in part ? part.lines.map(oneLine).join("\n") : part.link;
	});
	const html = paragraphs.map((part) => {
		if (typeof part === "string") return `<p>${escapeHtml(part)}</p>`;
		if ("lines" in part)
			return `<p>${part.lines.map((line) => escapeHtml(oneLine(line))).join("<br>\n")}</p>`;
		const link = escapeHtml(part.link);
		return `<p><a href="${link}">${link}</a></p>`;
	});
	return {
		subject,
		text: `${text.join("\n\n")}\n`,
		html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body>
${html.join("\n")}
</body></html>
`,
	};
}

const reasons = new Map([
	["OUT_OF_STOCK", "an item is out of stock"],
	["COUPON_USED_UP", "a promotion of the order is used up"],
	["PAYMENT_DECLINED", "the payment was declined"],
	["PAYMENT_EXPIRED", "the payment was not confirmed in time"],
	["UNDELIVERABLE", "we cannot deliver to the address of the order"],
	["TIMED_OUT", "we could not complete it in time"],
]);
/** The reason of a cancellation for its buyer. A code without a text becomes a general reason. */
export const cancellationReason = (reason: string): string =>
	reasons.get(reason) ??
	(/^[A-Z][A-Z0-9_]+$/.test(reason) ? "it could not be completed" : reason.replace(/\.$/, ""));

/** Replaces a reason that a user entered. */
const withoutUserText = <D extends object>(data: D): D =>
	"reason" in data && typeof data.reason === "string" && !reasons.has(data.reason)
		? { ...data, reason: "CANCELLED" }
		: data;

/**
 * Paragraphs with a link, or with a hint if the link is not shown.
 * @param endpoint route that an API client calls with the token of the link
 */
function linkParagraphs(
	introduction: string,
	endpoint: string,
	link: string | undefined,
): Paragraph[] {
	if (!link) return ["The link is only in the message that was mailed to you."];
	return [introduction, { link }, `API clients send the token in this link to ${endpoint}.`];
}

const totalOf = ({ total_amount, currency }: OrderData): string =>
	formatAmount(total_amount, currency);

/** Paragraphs with the link to a guest's order. */
const orderLink = ({ order_id, link }: OrderData): Paragraph[] =>
	link
		? [
				"This link shows your order. Keep it secret, because it needs no password:",
				{ link },
				"API clients send the token in this link in the " +
					`header Order-Token to GET /api/orders/${order_id}.`,
			]
		: [];

/** Removes line breaks, which would start another header. */
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();
