import { raise } from "../../lib/contract.ts";
import { commonError } from "../../lib/errors.ts";
import type { EventOf } from "../../lib/events.ts";
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
export function assertVisible<M extends { user_id: string }>(found: M | undefined, caller: Caller): asserts found is M {
	if (!found || (found.user_id !== caller.id && caller.role !== "admin")) raise(notifications, "NOTIFICATION_NOT_FOUND");
}

/** The events that somebody may be written to about. */
export type Mailed =
	| "user.created"
	| "user.updated"
	| "user.password_reset_requested"
	| "order.confirmed"
	| "order.shipped"
	| "order.delivered"
	| "order.cancelled";
/** A template and what it is filled with. */
export type Content = { [T in Template]: { readonly template: T; readonly data: TemplateData[T] } }[Template];

/**
 * What an event's user is written; undefined where it is nothing to write about. The event's address and name stay behind: they may have changed
 * when the message is sent.
 */
export function contentOf({ type, data }: EventOf<Mailed>): Content | undefined {
	switch (type) {
		case "user.created":
			return { template: "welcome", data: {} };
		case "user.updated":
			return data.updated_fields.includes("email") ? { template: "verify_email", data: {} } : undefined;
		case "user.password_reset_requested":
			return { template: "password_reset", data: {} };
		default: {
			const { user_id: _, ...rest } = data;
			return { template: type.replace(".", "_"), data: rest } as Content;
		}
	}
}

/** Messages with a link that only the users service can make: the page it leads to, and the action that makes its token. */
const linked = {
	welcome: { page: "verify-email", action: "users.issueVerification" },
	verify_email: { page: "verify-email", action: "users.issueVerification" },
	password_reset: { page: "password-reset", action: "users.issuePasswordReset" },
} as const;

/** The link that is still missing in a message, if one is. */
export const missingLink = ({ template, data }: Content): (typeof linked)[keyof typeof linked] | undefined =>
	template in linked && !(data as { link?: string }).link ? linked[template as keyof typeof linked] : undefined;

/**
 * The link proves that whoever follows it reads the mail: where there is mail, it is shown nowhere else. One that sets a password is shown to admins
 * at most, who can help somebody without mail; a stolen access token must not be enough to get one.
 */
export function shownData<D extends object>(
	data: D,
	{ status, template }: { status: string; template: Template },
	caller: Caller,
): Omit<D, "link"> {
	const shown = status === "kept" && (template !== "password_reset" || caller.role === "admin");
	return shown ? data : { ...data, link: undefined };
}

export const mailedLink = (publicUrl: string, page: string, token: string): string =>
	`${publicUrl.replace(/(?<!\/)\/+$/, "")}/${page}?token=${encodeURIComponent(token)}`;

/** The same for each repetition, so that a mail server can tell one (RFC 5322, 3.6.4). */
export function messageId(event_id: string, template: Template, from: string): string {
	const host = /@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? "localhost";
	return `<${event_id}.${template}@${host}>`;
}

/**
 * Whether a mail server refused a message for good (RFC 5321, 4.2.1: 5yz). A refusal of ourselves, a wrong password for instance, says nothing
 * about the message.
 */
export function isRefusal(error: unknown): boolean {
	const { code, responseCode } = (error ?? {}) as { code?: string; responseCode?: number };
	return (code === "EENVELOPE" || code === "EMESSAGE") && (responseCode === undefined || responseCode >= 500);
}
