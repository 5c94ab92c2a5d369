import type { Call } from "../../lib/contracts/contract.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import type {} from "../users/users.contract.ts";
import { buildLink, isAddressChange, linkOf, needsLink } from "./notifications.rules.ts";
import { type DueMessage, STORE_LINK } from "./notifications.statements.ts";

interface Dependencies {
	readonly db: Queryable;
	readonly call: Call;
	readonly publicUrl: string;
}
/** Requests the link of a message; `email` restricts its token to that address. */
type AddLink = (message: DueMessage, email?: string) => Promise<DueMessage>;

/**
 * Returns a function that adds the link to messages that need one. The link is stored before the
 * first attempt, so every attempt contains the same link.
 */
export function createLinks({ db, call, publicUrl }: Dependencies): AddLink {
	async function issueToken(
		message: DueMessage,
		email?: string,
	): Promise<{ token: string | null; to?: string }> {
		// Guests have no account, and the templates with a link are about one.
		const user_id = message.user_id!;
		if (isAddressChange(message)) {
			const { action } = linkOf(message.template) as {
				action: "users.issueEmailChange" | "users.issueEmailChangeUndo";
			};
			const issued = await call(action, { user_id, change_id: message.data.change_id });
			return { token: issued.token, to: issued.email };
		}
		const { action } = linkOf(message.template) as {
			action: "users.issueVerification" | "users.issuePasswordReset";
		};
		return call(action, { user_id, ...(email ? { email } : {}) });
	}

	return async (message, email) => {
		if (!needsLink(message)) return message;
		const { page } = linkOf(message.template)!;
		const { token, ...recipient } = await issueToken(message, email);
		const data = {
			...recipient,
			...(token === null ? { taken: true } : { link: buildLink(publicUrl, page, token) }),
		};
		await db.query(STORE_LINK, [message.id, JSON.stringify(data)]);
		return { ...message, data: { ...message.data, ...data } } as DueMessage;
	};
}
