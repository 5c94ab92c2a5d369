import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object, page, paging, pick, shape } from "../../lib/contracts/schema.ts";

export const notification = shape({
	id: { type: "uuid" },
	user_id: { type: "uuid", nullable: true, description: "Null for a message to a guest" },
	channel: { type: "enum", values: ["email"] },
	template: {
		type: "enum",
		values: [
			"welcome",
			"verify_email",
			"password_reset",
			"email_change",
			"email_change_notice",
			"order_confirmed",
			"order_shipped",
			"order_delivered",
			"order_cancelled",
			"late_payment_refunded",
		],
	},
	subject: { type: "string" },
	/**
	 * `kept`: no mail server is configured. `failed`: the mail server rejected the message, all
	 * attempts failed, or the recipient received too many messages of this kind.
	 */
	status: { type: "enum", values: ["queued", "sent", "kept", "failed"] },
	attempts: { type: "number", integer: true },
	sent_at: { type: "time", nullable: true },
	event_id: { type: "uuid" },
});

/** Fields for administrators. */
export const delivery = shape({
	recipient: {
		type: "string",
		nullable: true,
		optional: true,
		description:
			"Administrators only: the recipient's address. Null if it is not stored, or its service " +
			"does not respond",
	},
	error: {
		type: "string",
		nullable: true,
		optional: true,
		description: "Administrators only: the error of the last attempt",
	},
});

export const notifications = contract({
	name: "notifications",
	actions: {
		...eventActions,
		list: {
			summary: "List own messages, newest first (all messages for an admin)",
			rest: "GET /notifications",
			auth: "user",
			page: true,
			params: {
				...paging,
				user_id: { type: "uuid", optional: true },
				status: { ...notification.status, optional: true },
				template: { ...notification.template, optional: true },
				q: {
					type: "string",
					min: 1,
					max: 100,
					trim: true,
					optional: true,
					description:
						"Part of the subject, or of the e-mail address or name of an account; " +
						"for messages to a guest, the whole address. Administrators only",
				},
			},
			returns: page({ ...notification, ...delivery }),
		},
		resend: {
			summary:
				"Send a message again to the same recipient; messages with a single-use link are refused",
			rest: "POST /notifications/:id/resend",
			repeatable: "a queued message is refused",
			auth: "admin",
			status: 202,
			params: { id: { type: "uuid" } },
			returns: object(notification),
			throws: ["NOTIFICATION_NOT_FOUND", "NOTIFICATION_QUEUED", "NOT_RESENDABLE"],
		},
		get: {
			summary: "Retrieve a message with its text",
			rest: "GET /notifications/:id",
			auth: "owner",
			params: { id: { type: "uuid" } },
			returns: object({
				...notification,
				...delivery,
				to: {
					type: "string",
					description:
						"Empty for a pending or former address of an account, " +
						"and for a guest unless the message is kept",
				},
				text: { type: "string" },
				html: { type: "string" },
			}),
			throws: ["NOTIFICATION_NOT_FOUND"],
		},
		/** For the audit: messages about the given orders. */
		auditMessages: {
			params: { order_ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list(
				object({
					order_id: { type: "uuid" },
					...pick(notification, "event_id", "user_id", "template"),
				}),
			),
			retry: true,
			divide: { list: "order_ids" },
		},
		/**
		 * For other services: messages about an order, oldest first. Those to guests, and those to
		 * `user_id` or, if it is null, to any user.
		 */
		about: {
			params: { user_id: { type: "uuid", nullable: true }, order_id: { type: "uuid" } },
			returns: list(
				object({
					...pick(notification, "template", "channel", "status", "attempts", "sent_at"),
					created_at: { type: "time" },
					traceparent: { type: "string", nullable: true, optional: true },
				}),
			),
			retry: true,
		},
	},
	errors: {
		NOTIFICATION_NOT_FOUND: { status: 404, message: "Message not found" },
		NOTIFICATION_QUEUED: { status: 409, message: "The message is still queued" },
		NOT_RESENDABLE: { status: 409, message: "The message cannot be sent again" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		notifications: typeof notifications;
	}
}
