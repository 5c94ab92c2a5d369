import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import { notifications } from "./notifications.contract.ts";
import type { Template, TemplateData } from "./notifications.templates.ts";

type Caller = { readonly id: string; readonly role: "user" | "admin" };

/**
 * The user whose messages are listed; undefined for all users.
 * @throws FORBIDDEN if a user requests the messages of another user
 */
export function listedUserId(caller: Caller, user_id?: string): string | undefined {
	if (caller.role === "admin") return user_id;
	if (user_id !== undefined && user_id !== caller.id) throw commonError("FORBIDDEN");
	return caller.id;
}

/** @throws NOTIFICATION_NOT_FOUND for a missing message, and for another user's unless admin */
export function assertVisible<M extends { user_id: string | null }>(
	message: M | undefined,
	caller: Caller,
): asserts message is M {
	if (!message || (message.user_id !== caller.id && caller.role !== "admin"))
		throwError(notifications, "NOTIFICATION_NOT_FOUND");
}

/** Events that can cause a message. */
export type NotifiedEvent =
	| "user.created"
	| "user.updated"
	| "user.password_reset_requested"
	| "user.verification_requested"
	| "user.email_change_requested"
	| "user.email_change_recorded"
	| "order.confirmed"
	| "order.shipped"
	| "order.delivered"
	| "order.cancelled"
	| "payment.refunded";
/** A template with its data. */
export type Content = {
	[T in Template]: { readonly template: T; readonly data: TemplateData[T] };
}[Template];

/**
 * The message that an event causes; undefined if it causes none. Address and name are not copied
 * from the event, because they can change before the message is sent.
 */
export function contentOf({ type, data }: EventOf<NotifiedEvent>): Content | undefined {
	switch (type) {
		case "user.created":
			return { template: "welcome", data: {} };
		case "user.updated":
			return data.updated_fields.includes("email") && !data.is_verified
				? { template: "verify_email", data: {} }
				: undefined;
		case "user.verification_requested":
			return { template: "verify_email", data: { requested: true } };
		case "user.password_reset_requested":
			return { template: "password_reset", data: {} };
		case "user.email_change_requested":
			return { template: "email_change", data: { change_id: data.change_id } };
		case "user.email_change_recorded":
			return { template: "email_change_notice", data: { change_id: data.change_id } };
		case "payment.refunded": {
			const { order_id, amount: total_amount, currency, late } = data;
			return late
				? { template: "late_payment_refunded", data: { order_id, total_amount, currency } }
				: undefined;
		}
		default: {
			const { user_id, email, ...rest } = data;
			const recipient = user_id === null && email ? { to: email } : {};
			return { template: type.replace(".", "_"), data: { ...rest, ...recipient } } as Content;
		}
	}
}

/**
 * Whether a message has a recipient: a user, the address of a guest, or the address in a guest's
 * order, which the sender reads.
 */
export const hasRecipient = (
	{ template, data }: Content,
	user_id: string | null | undefined,
): boolean => Boolean(user_id) || "to" in data || template === "late_payment_refunded";

/**
 * Whether only the order contains the address of a message: the event has none, or it was deleted
 * when the message was sent for the first time.
 */
export const needsOrderAddress = ({
	user_id,
	data,
}: {
	readonly user_id: string | null;
	readonly data: object;
}): boolean => user_id === null && guestOf(data) === undefined;

/** Address of a guest; undefined for a message to a user. */
export const guestOf = (data: object): string | undefined => (data as { to?: string }).to;

/**
 * The address that a message is or was sent to. Null if it is not stored: that of a change of
 * address, and of a deleted account.
 * @param order of a message to a guest
 */
export function recipientOf(
	message: Content & { readonly user_id: string | null },
	user: { readonly email: string } | null,
	order: { readonly email: string | null } | null,
): string | null {
	if (isAddressChange(message)) return null;
	if (message.user_id !== null) return user?.email ?? null;
	return guestOf(message.data) ?? order?.email ?? null;
}

/** Templates with a link: the page that it opens, and the action that issues its token. */
const links = {
	welcome: { page: "verify-email", action: "users.issueVerification" },
	verify_email: { page: "verify-email", action: "users.issueVerification" },
	password_reset: { page: "password-reset", action: "users.issuePasswordReset" },
	email_change: { page: "email-change", action: "users.issueEmailChange" },
	email_change_notice: { page: "email-change/undo", action: "users.issueEmailChangeUndo" },
} as const;
type LinkTemplate = keyof typeof links;

/** The page and the action of the link in a message; undefined for a template without a link. */
export const linkOf = (template: Template): (typeof links)[LinkTemplate] | undefined =>
	template in links ? links[template as LinkTemplate] : undefined;

/** Whether the link of a message has not been created yet. */
export const needsLink = ({ template, data }: Content): boolean => {
	const { link, taken } = data as TemplateData["email_change"];
	return template in links && !link && !taken;
};

/**
 * Templates for the pending or the former address of a user. The users service returns the address
 * together with the token.
 */
const ADDRESS_CHANGE = ["email_change", "email_change_notice"] as const;
type AddressChange = Extract<Content, { template: (typeof ADDRESS_CHANGE)[number] }>;
/** Whether the users service determines the recipient, together with the token of the link. */
export const isAddressChange = (content: Content): content is AddressChange =>
	ADDRESS_CHANGE.some((template) => template === content.template);

/** Templates whose link can take over an account. A stolen access token must not reveal it. */
const ACCOUNT_TAKEOVER: readonly Template[] = ["password_reset", ...ADDRESS_CHANGE];

/**
 * The template data that the API may show. A link proves that its user receives mail at the
 * address. If mail is sent, the API therefore shows neither the link nor whether an address has an
 * account. Without a mail server it shows the link; one that can take over an account is shown
 * only to admins, who can pass it on.
 */
export function visibleData<D extends object>(
	data: D,
	{ status, template }: { status: string; template: Template },
	caller: Caller,
): Omit<D, "link" | "to" | "taken"> {
	const isVisible =
		status === "kept" && (!ACCOUNT_TAKEOVER.includes(template) || caller.role === "admin");
	return isVisible ? data : { ...data, link: undefined, to: undefined, taken: undefined };
}

interface Recipient {
	readonly full_name: string;
	readonly is_verified: boolean;
}
/**
 * The name in the greeting. Undefined for an address that is not verified or not the account's:
 * otherwise a user could send any words to a stranger.
 */
export const recipientName = (content: Content, user: Recipient | null): string | undefined =>
	user?.is_verified && !isAddressChange(content) ? user.full_name : undefined;

/**
 * @throws NOTIFICATION_NOT_FOUND for a missing message; NOTIFICATION_QUEUED; NOT_RESENDABLE for a
 *   message with a link. Its link is deleted once it was sent, and a new one must reach only a
 *   person who requests it. The address of a change is deleted as well, so that it is not revealed.
 */
export function assertCanResend<M extends { readonly status: string; readonly template: Template }>(
	message: M | undefined,
): asserts message is M {
	if (!message) throwError(notifications, "NOTIFICATION_NOT_FOUND");
	if (message.status === "queued") throwError(notifications, "NOTIFICATION_QUEUED");
	const { template } = message;
	if (ADDRESS_CHANGE.some((one) => one === template))
		throwError(
			notifications,
			"NOT_RESENDABLE",
			{},
			"The recipient of this message is a pending or former address, which is not stored",
		);
	if (linkOf(template))
		throwError(
			notifications,
			"NOT_RESENDABLE",
			{},
			"The message contained a link that is valid once: the recipient can request a new one",
		);
}

/** Maximum number of messages of a template to one address in a period. */
interface Quota {
	readonly mails: number;
	readonly hours: number;
	/** Whether further messages are dropped, or wait until the period ends. */
	readonly overflow: "drop" | "wait";
}
const accountQuota: Quota = { mails: 5, hours: 1, overflow: "drop" };
const orderQuota: Quota = { mails: 100, hours: 1, overflow: "wait" };
/**
 * A guest can enter the address of another person, and each declined card cancels an order. The
 * guest has already received that response.
 */
const guestCancellationQuota: Quota = { mails: 10, hours: 1, overflow: "drop" };
const quotas: { readonly [T in Template]: Quota } = {
	welcome: accountQuota,
	verify_email: accountQuota,
	password_reset: accountQuota,
	email_change: accountQuota,
	email_change_notice: { ...accountQuota, mails: 10 },
	order_confirmed: orderQuota,
	order_shipped: orderQuota,
	order_delivered: orderQuota,
	order_cancelled: orderQuota,
	late_payment_refunded: orderQuota,
};
/** The quota of a message. */
export const quotaOf = ({
	template,
	user_id,
}: {
	readonly template: Template;
	readonly user_id: string | null;
}): Quota =>
	template === "order_cancelled" && user_id === null ? guestCancellationQuota : quotas[template];

/** The page of a guest's order. */
export const buildOrderLink = (publicUrl: string, order_id: string, token: string): string =>
	`${buildLink(publicUrl, "order", token)}&id=${encodeURIComponent(order_id)}`;

/** URL of a page of the shop with a token. @param publicUrl with or without slashes at its end */
export const buildLink = (publicUrl: string, page: string, token: string): string =>
	`${publicUrl.replace(/(?<!\/)\/+$/, "")}/${page}?token=${encodeURIComponent(token)}`;

/** A message as its Message-ID identifies it. */
interface Identity {
	readonly event_id: string;
	readonly template: Template;
	readonly resends: number;
}
/**
 * Equal for all attempts of a message, so mail servers can detect duplicates (RFC 5322, 3.6.4). A
 * message that is sent again on request is no duplicate.
 */
export function messageId({ event_id, template, resends }: Identity, from: string): string {
	const host = /@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? "localhost";
	return `<${event_id}.${template}${resends > 0 ? `.${resends}` : ""}@${host}>`;
}

/** In seconds. */
const MAX_POSTPONEMENT_DELAY = 900;
/**
 * Seconds until a message is prepared again, or is sent to a mail server that has failed. The delay
 * grows with the age of the message, so that messages that keep failing give way to others.
 * @param age of the message in seconds
 * @param minimum delay in seconds
 * @param random between 0 and 1, for jitter
 */
export const postponementDelay = (age: number, minimum: number, random: number): number =>
	Math.max(minimum, Math.min(MAX_POSTPONEMENT_DELAY, (age / 2) * (0.5 + random / 2)));

/**
 * Whether a mail server rejected a message permanently (RFC 5321, 4.2.1: 5yz), if it is no failure
 * of the server (see `isServerFailure`).
 */
export function isPermanentRejection(error: unknown): boolean {
	const { code, responseCode } = (error ?? {}) as { code?: string; responseCode?: number };
	return (
		(code === "EENVELOPE" || code === "EMESSAGE") &&
		(responseCode === undefined || responseCode >= 500)
	);
}

/**
 * nodemailer's codes for a mail server that cannot be reached, ends the connection or does not
 * accept the login. The next message would fail in the same way. EABORT is not one of them: the
 * server may have received a message that takes too long, and would receive it again and again.
 */
const SERVER_FAILURES: readonly unknown[] = [
	"ECONNECTION",
	"ETIMEDOUT",
	"ESOCKET",
	"EDNS",
	"ETLS",
	"EPROTOCOL",
	"EPROXY",
	"EAUTH",
	"ENOAUTH",
];
/** SMTP code for a message that is too large, which a server can detect before the recipients. */
const TOO_LARGE = 552;
/**
 * Whether a mail server failed, and not a message. A server that rejects the sender would reject it
 * in the next message as well.
 */
export function isServerFailure(error: unknown): boolean {
	const { code, command, responseCode } = (error ?? {}) as Record<string, unknown>;
	if (code === "EENVELOPE") return command === "MAIL FROM" && responseCode !== TOO_LARGE;
	return SERVER_FAILURES.includes(code);
}
