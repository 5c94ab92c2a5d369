import type { Poller } from "../../lib/async/poller.ts";
import { traceparentsOf } from "../../lib/context/traceparent.ts";
import { type Call, callerOf, type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { records } from "../../mixins/records.mixin.ts";
import type {} from "../orders/orders.contract.ts";
import type {} from "../payments/payments.contract.ts";
import type {} from "../users/users.contract.ts";
import { type notification, notifications } from "./notifications.contract.ts";
import { withDeliveries } from "./notifications.deliveries.ts";
import { defineMessage } from "./notifications.models.ts";
import { detailsOf, guestLinkOf, readOrders } from "./notifications.orders.ts";
import {
	assertCanResend,
	assertVisible,
	type Content,
	contentOf,
	guestOf,
	hasRecipient,
	isAddressChange,
	type NotifiedEvent,
	needsLink,
	recipientName,
	recipientOf,
	visibleData,
} from "./notifications.rules.ts";
import { selectMessages } from "./notifications.search.ts";
import { startSender } from "./notifications.sender.ts";
import * as statements from "./notifications.statements.ts";
import { render, subjectOf } from "./notifications.templates.ts";

type Notification = Infer<typeof notification>;
type Stored = Notification & Content & { readonly last_error: string | null };
type AuditRow = Pick<Notification, "event_id" | "user_id" | "template"> & { order_id: string };
interface State {
	/** Undefined until the service has started. */
	sender: Poller | undefined;
}

export default defineService(notifications)({
	mixins: [database, records<Notification>(defineMessage), durableEvents],

	created(): State {
		return { sender: undefined };
	},

	actions: {
		async list(ctx) {
			const { skip, limit } = ctx.params;
			const where = await selectMessages(ctx);
			// IDs are UUIDs of version 7, so they sort by creation time.
			const page = await this.listRecords(ctx, { skip, limit, sort: ["-id"], where });
			if (ctx.meta.user!.role !== "admin") return page;
			return { ...page, rows: await withDeliveries(this.db, ctx, page.rows) };
		},

		async get(ctx) {
			const [found] = await this.db.query<Stored>(statements.FIND, [ctx.params.id]);
			assertVisible(found, ctx.meta.user!);
			const [user = null] =
				found.user_id === null ? [] : await ctx.call("users.resolve", { ids: [found.user_id] });
			const { data, last_error, ...message } = found;
			const visible = visibleData(data, message, ctx.meta.user!);
			const name = recipientName(found, user);
			const [order = null] = await readOrders(ctx.call.bind(ctx) as Call, [found]).catch(() => []);
			const details = order ? detailsOf(order, name !== undefined) : undefined;
			const link = found.status === "kept" ? guestLinkOf(found, envOf(this.broker)) : undefined;
			const complete = { ...visible, details, ...(link ? { link } : {}) };
			const { text, html } = render(message.template, complete as typeof visible, name);
			const to = isAddressChange(found) ? "" : (user?.email ?? guestOf(visible) ?? "");
			const isAdmin = ctx.meta.user!.role === "admin";
			const delivery = { recipient: recipientOf(found, user, order), error: last_error };
			return { ...message, ...(isAdmin ? delivery : {}), to, text, html };
		},

		async resend({ params: { id } }) {
			const [found] = await this.db.query<Notification>(statements.FIND, [id]);
			assertCanResend(found);
			const [queued] = await this.db.query<Notification>(statements.RESEND, [id]);
			if (!queued) throwError(notifications, "NOTIFICATION_QUEUED");
			this.sender?.wake();
			return queued;
		},

		async auditMessages({ params: { order_ids } }) {
			return this.db.query<AuditRow>(statements.AUDIT, [order_ids]);
		},

		about({ params: { user_id, order_id } }) {
			return this.db.query(statements.ABOUT, [user_id, order_id]);
		},
	},

	subscriptions: {
		"user.created": queueMessages,
		"user.updated": queueMessages,
		"user.password_reset_requested": queueMessages,
		"user.verification_requested": queueMessages,
		"user.email_change_requested": queueMessages,
		"user.email_change_recorded": queueMessages,
		"order.confirmed": queueMessages,
		"order.shipped": queueMessages,
		"order.delivered": queueMessages,
		"order.cancelled": queueMessages,
		"payment.refunded": queueMessages,
	},

	started() {
		const { broker, db, logger } = this;
		const { SMTP_URL, JWT_SECRET } = envOf(broker);
		if (SMTP_URL && !JWT_SECRET)
			logger.warn("JWT_SECRET is not set: e-mails to guests contain no link to their order");
		this.sender = startSender({
			db,
			logger,
			call: callerOf(this),
			env: envOf(broker),
			tracer: tracingOf(broker)?.of(this.name),
			isStopping: () => broker.stopping,
		});
	},

	async stopped() {
		await this.sender?.stop();
	},
});

/** Inserts the messages that events cause. The sender sends them after the commit. */
async function queueMessages(
	this: ServiceThis & State,
	tx: Tx,
	events: EventOf<NotifiedEvent>[],
): Promise<void> {
	const canSend = envOf(this.broker).SMTP_URL !== undefined;
	const messages = events.flatMap((event) => {
		const content = contentOf(event);
		const { user_id = null } = event.data;
		return content && hasRecipient(content, user_id) ? [{ event, user_id, content }] : [];
	});
	if (messages.length === 0) return;
	const contents = messages.map(({ content }) => content);
	await tx.query(statements.QUEUE, [
		messages.map(() => newId()),
		messages.map(({ user_id }) => user_id),
		messages.map(({ event }) => event.id),
		contents.map(({ template }) => template),
		contents.map(({ template, data }) => subjectOf(template, data)),
		contents.map(({ data }) => JSON.stringify(data)),
		// Without a mail server, the sender only has to add links.
		contents.map((content) => (canSend || needsLink(content) ? "queued" : "kept")),
		traceparentsOf(messages.map(({ event }) => event)),
	]);
	// Events can arrive before `started` has run; the sender then finds the messages when it polls.
	tx.handle.afterCommit(() => this.sender?.wake());
}
