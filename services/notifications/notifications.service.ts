import type { Poller } from "../../lib/async/poller.ts";
import { traceparentsOf } from "../../lib/context/traceparent.ts";
import { callerOf, implement, type ServiceThis } from "../../lib/contracts/contract.ts";
import type { EventOf } from "../../lib/contracts/event.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { tracingOf } from "../../lib/observability/tracing/tracing.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { envOf } from "../../lib/settings/env.ts";
import { database, records } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import type {} from "../orders/orders.contract.ts";
import type {} from "../users/users.contract.ts";
import { type notification, notifications } from "./notifications.contract.ts";
import { defineMessage } from "./notifications.models.ts";
import {
	assertVisible,
	type Content,
	contentOf,
	goesElsewhere,
	lacksLink,
	listedUser,
	type Mailed,
	nameIn,
	shownData,
} from "./notifications.rules.ts";
import { startSender } from "./notifications.sender.ts";
import { render, subjectOf } from "./notifications.templates.ts";

type Notification = Infer<typeof notification>;

const QUEUE = sql(
	"messages_queue",
	`insert into messages (id, user_id, event_id, channel, template, subject, data, status, traceparent)
	select id, user_id, event_id, 'email', template, subject, data, status, traceparent
	from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::text[])
		as w(id, user_id, event_id, template, subject, data, status, traceparent)
	on conflict (event_id, user_id) do nothing`,
);
const AUDIT = sql(
	"messages_audit",
	"select data ->> 'order_id' as order_id, event_id, user_id, template from messages where data ->> 'order_id' = any($1::text[])",
);
const FIND = sql(
	"messages_find",
	"select id, user_id, channel, template, subject, status, attempts, sent_at, event_id, data from messages where id = $1",
);
const ABOUT = sql(
	"messages_about",
	`select template, channel, status, attempts, sent_at, created_at, traceparent from messages
	where user_id = $1 and data ->> 'order_id' = $2 order by id limit 100`,
);

/** Writes down what is to be sent; who sends it is another matter. */
async function queue(
	this: ServiceThis & { sender?: Poller },
	tx: Tx,
	found: EventOf<Mailed>[],
): Promise<void> {
	const mailing = envOf(this.broker).SMTP_URL !== undefined;
	const letters = found.flatMap((event) => {
		const content = contentOf(event);
		return content ? [{ event, content }] : [];
	});
	const contents = letters.map(({ content }) => content);
	await tx.query(QUEUE, [
		letters.map(() => newId()),
		letters.map(({ event }) => event.data.user_id),
		letters.map(({ event }) => event.id),
		contents.map(({ template }) => template),
		contents.map(({ template, data }) => subjectOf(template, data)),
		contents.map(({ data }) => JSON.stringify(data)),
		// What nobody will send needs no second look either.
		contents.map((content) => (mailing || lacksLink(content) ? "queued" : "kept")),
		traceparentsOf(letters.map(({ event }) => event)),
	]);
	// It may not have started yet; then it looks when it does.
	tx.handle.afterCommit(() => this.sender?.wake());
}

export default implement(
	notifications,
	database,
	records<Notification>(defineMessage),
	durableEvents,
).with({
	subscriptions: {
		"user.created": queue,
		"user.updated": queue,
		"user.password_reset_requested": queue,
		"user.email_change_requested": queue,
		"user.email_change_recorded": queue,
		"order.confirmed": queue,
		"order.shipped": queue,
		"order.delivered": queue,
		"order.cancelled": queue,
	},
	setup() {
		const { broker, db, logger } = this;
		const tracer = tracingOf(broker)?.of(this.name);
		return {
			sender: startSender({
				db,
				logger,
				call: callerOf(this),
				env: envOf(broker),
				tracer,
				closing: () => broker.stopping,
			}),
		};
	},
	stop() {
		return this.sender?.stop();
	},

	actions: {
		async list(ctx) {
			const { user_id, skip, limit } = ctx.params;
			const owner = listedUser(ctx.meta.user!, user_id);
			// Ids grow with time.
			return this.listRecords(ctx, {
				skip,
				limit,
				sort: ["-id"],
				where: owner ? { user_id: owner } : {},
			});
		},

		async get(ctx) {
			const [found] = await this.db.query<Notification & Content>(FIND, [ctx.params.id]);
			assertVisible(found, ctx.meta.user!);
			const [recipient] = await ctx.call("users.resolve", { ids: [found.user_id] });
			const { data, ...message } = found;
			const { text, html } = render(
				message.template,
				shownData(data, message, ctx.meta.user!),
				nameIn(found, recipient ?? null),
			);
			return { ...message, to: goesElsewhere(found) ? "" : (recipient?.email ?? ""), text, html };
		},

		async auditMessages({ params: { order_ids } }) {
			return this.db.query<
				Pick<Notification, "event_id" | "user_id" | "template"> & { order_id: string }
			>(AUDIT, [order_ids]);
		},

		about({ params: { user_id, order_id } }) {
			return this.db.query(ABOUT, [user_id, order_id]);
		},
	},
});
