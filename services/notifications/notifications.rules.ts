import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import { notifications } from "./notifications.contract.ts";
import type { Template, TemplateData } from "./notifications.templates.ts";

type Caller = { readonly id: string; readonly role: "user" | "admin" };

/** Whose messages the caller lists; undefined is everybody's. */
export function listedUser(caller: Caller, user_id?: string): string | undefined {
	if (caller.role === "admin") return user_id;
	if (user_id !== undefined && user_id !== caller.id) throw commonError("FORBIDDEN");
	return caller.id;
}
/** Somebody else's message does not exist, as far as they can see. */
export function assertVisible<M extends { user_id: string }>(
	found: M | undefined,
	caller: Caller,
): asserts found is M {
	if (!found || (found.user_id !== caller.id && caller.role !== "admin"))
		throwError(notifications, "NOTIFICATION_NOT_FOUND");
}

/** The events that somebody may be written to about. */
export type Mailed =
	| "user.created"
	| "user.updated"
	| "user.password_reset_requested"
	| "user.email_change_requested"
	| "user.email_change_recorded"
	| "order.confirmed"
	| "order.shipped"
	| "order.delivered"
	| "order.cancelled";
/** A template and what it is filled with. */
export type Content = {
	[T in Template]: { readonly template: T; readonly data: TemplateData[T] };
}[Template];

/**
 * What an event's user is written; undefined where it is nothing to write about. The event's address and name stay behind: they may have changed
 * when the message is sent.
 */
export function contentOf({ type, data }: EventOf<Mailed>): Content | undefined {
	switch (type) {
		case "user.created":
			return { template: "welcome", data: {} };
		case "user.updated":
			return data.updated_fields.includes("email") && !data.is_verified
				? { template: "verify_email", data: {} }
				: undefined;
		case "user.password_reset_requested":
			return { template: "password_reset", data: {} };
		case "user.email_change_requested":
			return { template: "email_change", data: { change_id: data.change_id } };
		case "user.email_change_recorded":
			return { template: "email_change_notice", data: { change_id: data.change_id } };
		default: {
			const { user_id: _, ...rest } = data;
			return { template: type.replace(".", "_"), data: rest } as Content;
		}
	}
}

/**
 * Messages with a link that only the users service can make: the page it leads to, and the action
 * that issues its token.
 */
const linked = {
	welcome: { page: "verify-email", action: "users.issueVerification" },
	verify_email: { page: "verify-email", action: "users.issueVerification" },
	password_reset: { page: "password-reset", action: "users.issuePasswordReset" },
	email_change: { page: "email-change", action: "users.issueEmailChange" },
	email_change_notice: { page: "email-change/undo", action: "users.issueEmailChangeUndo" },
} as const;
type Linked = keyof typeof linked;
/**
 * Messages that go to a pending or former address of the user, which the users service gives
 * together with the token.
 */
const ELSEWHERE = ["email_change", "email_change_notice"] as const;
export type Elsewhere = Extract<Content, { template: (typeof ELSEWHERE)[number] }>;
export const goesElsewhere = (content: Content): content is Elsewhere =>
	ELSEWHERE.some((template) => template === content.template);

/** The link of a message of this kind, if it has one. */
export const linkOf = (template: Template): (typeof linked)[Linked] | undefined =>
	template in linked ? linked[template as Linked] : undefined;
/** Whether a message lacks its link still. */
export const lacksLink = ({ template, data }: Content): boolean => {
	const { link, taken } = data as TemplateData["email_change"];
	return template in linked && !link && !taken;
};

/** Links that take an account over: a stolen access token must not be enough to read one. */
const GUARDED: readonly Template[] = ["password_reset", ...ELSEWHERE];
/**
 * The link proves that whoever follows it reads the mail: where there is mail, it is shown nowhere
 * else, nor is whether an address has an account. A link that takes an account over is shown to
 * admins at most, who can help somebody without mail.
 */
export function shownData<D extends object>(
	data: D,
	{ status, template }: { status: string; template: Template },
	caller: Caller,
): Omit<D, "link" | "to" | "taken"> {
	const shown = status === "kept" && (!GUARDED.includes(template) || caller.role === "admin");
	return shown ? data : { ...data, link: undefined, to: undefined, taken: undefined };
}

interface Person {
	readonly full_name: string;
	readonly is_verified: boolean;
}
/**
 * What a recipient is called. A user who has not proved to read the mail of an address has no name
 * in it: strangers could be sent any words. The same holds for addresses that the account does not
 * have.
 */
export const nameIn = (content: Content, person: Person | null): string | undefined =>
	person?.is_verified && !goesElsewhere(content) ? person.full_name : undefined;

/**
 * How many mails of a template an address gets in so many hours. What comes beyond is dropped, or
 * waits until the hours are over.
 */
interface Quota {
	readonly mails: number;
	readonly hours: number;
	readonly beyond: "drop" | "wait";
}
const account: Quota = { mails: 5, hours: 1, beyond: "drop" };
const order: Quota = { mails: 100, hours: 1, beyond: "wait" };
export const quotas: { readonly [T in Template]: Quota } = {
	welcome: account,
	verify_email: account,
	password_reset: account,
	email_change: account,
	email_change_notice: { ...account, mails: 10 },
	order_confirmed: order,
	order_shipped: order,
	order_delivered: order,
	order_cancelled: order,
};

export const mailedLink = (publicUrl: string, page: string, token: string): string =>
	`${publicUrl.replace(/(?<!\/)\/+$/, "")}/${page}?token=${encodeURIComponent(token)}`;

/** The same for each repetition, so that a mail server can tell one (RFC 5322, 3.6.4). */
export function messageId(event_id: string, template: Template, from: string): string {
	const host = /@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? "localhost";
	return `<${event_id}.${template}@${host}>`;
}

const LONGEST_WAIT = 900;
/**
 * Seconds until the next attempt to prepare a message. The wait grows with the message's age, so that messages that fail each time give way
 * to others.
 * @param age of the message in seconds
 * @param first wait at least
 * @param random between 0 and 1, for jitter
 */
export const preparationWait = (age: number, first: number, random: number): number =>
	Math.max(first, Math.min(LONGEST_WAIT, (age / 2) * (0.5 + random / 2)));

/**
 * Whether a mail server refused a message for good (RFC 5321, 4.2.1: 5yz). A refusal of ourselves, a wrong password for instance, says nothing
 * about the message.
 */
export function isRefusal(error: unknown): boolean {
	const { code, responseCode } = (error ?? {}) as { code?: string; responseCode?: number };
	return (
		(code === "EENVELOPE" || code === "EMESSAGE") &&
		(responseCode === undefined || responseCode >= 500)
	);
}
