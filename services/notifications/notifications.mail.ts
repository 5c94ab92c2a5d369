import { createTransport } from "nodemailer";
import { messageId } from "./notifications.rules.ts";
import { type DueMessage, MAX_CONCURRENT_SENDS } from "./notifications.statements.ts";
import { render } from "./notifications.templates.ts";

/**
 * Time limit of a connection. With that of the greeting (30 s) it is shorter than a delivery may
 * take, so a server that cannot be reached is not mistaken for a slow delivery.
 */
const CONNECTION_TIMEOUT_MS = 20_000;

/** Connects to a mail server. The transport does not retry, because the queue does. */
export const openTransport = (url: string) =>
	createTransport({
		url,
		pool: true,
		maxConnections: MAX_CONCURRENT_SENDS,
		maxRequeues: 0,
		connectionTimeout: CONNECTION_TIMEOUT_MS,
		disableFileAccess: true,
		disableUrlAccess: true,
	});

/** Renders a message as an e-mail. `name` is undefined for an unverified recipient. */
export const composeMail = (
	message: DueMessage,
	address: string,
	name: string | undefined,
	from: string,
) => ({
	...render(message.template, message.data, name),
	from,
	// As an object: nodemailer would parse a text as a list of addresses.
	to: { name: name ?? "", address },
	date: new Date(message.created_at),
	messageId: messageId(message, from),
	// Suppresses automatic replies such as vacation notices (RFC 3834).
	headers: { "Auto-Submitted": "auto-generated" },
});
