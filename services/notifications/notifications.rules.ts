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

/** The events that somebody is written to about. */
export type Mailed = "user.created" | "order.confirmed" | "order.shipped" | "order.delivered" | "order.cancelled";
/** A template and what it is filled with. */
export type Content = { [T in Template]: { readonly template: T; readonly data: TemplateData[T] } }[Template];

/** What an event's user is written. The event's address and name stay behind: they may have changed when the message is sent. */
export function contentOf({ type, data }: EventOf<Mailed>): Content {
	if (type === "user.created") return { template: "welcome", data: {} };
	const { user_id: _, ...rest } = data;
	return { template: type.replace(".", "_"), data: rest } as Content;
}

/** A welcome carries a link that only the users service can make. */
export const needsLink = ({ template, data }: Content): boolean => template === "welcome" && !data.link;

/** The link proves that whoever follows it reads the mail: where there is mail, it is shown nowhere else. */
export const shownData = <D extends object>(data: D, status: string): Omit<D, "link"> =>
	status === "kept" ? data : { ...data, link: undefined };

export const verificationLink = (publicUrl: string, token: string): string =>
	`${publicUrl.replace(/\/+$/, "")}/verify-email?token=${encodeURIComponent(token)}`;

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
