import type { EventType } from "../../../lib/contracts/contract.ts";
import type { Status } from "../orders.rules.ts";
import type { AuditedOrder, Finding, OrderRecords } from "./records.ts";

/** Required and optional events by status. */
const expectedEvents: Readonly<
	Record<Status, { readonly must: readonly EventType[]; readonly may?: readonly EventType[] }>
> = {
	pending: { must: ["order.created"] },
	confirmed: { must: ["order.created", "order.confirmed"] },
	shipped: { must: ["order.created", "order.confirmed", "order.shipped"] },
	delivered: { must: ["order.created", "order.confirmed", "order.shipped", "order.delivered"] },
	cancelled: { must: ["order.created", "order.cancelled"], may: ["order.confirmed"] },
};
/** Published for each wait, so any number of times. */
const REPEATED: EventType = "order.payment_pending";
const WITHOUT_MESSAGE: readonly EventType[] = ["order.created", REPEATED];

/** Template of a message that an event of payments causes. */
const LATE_PAYMENT = "late_payment_refunded";

/** A guest's messages have no user, also after the order has joined an account. */
const isRecipient = ({ user_id, email }: AuditedOrder, recipient: string | null): boolean =>
	recipient === user_id || (recipient === null && email !== null);

/** Compares the events of an order with its status, and the messages with the events. */
export function* checkEvents(
	order: AuditedOrder,
	events: NonNullable<AuditedOrder["events"]>,
	messages: OrderRecords["messages"],
): Iterable<Finding> {
	const { must, may = [] } = expectedEvents[order.status];
	const types = events.map(({ type }) => type);
	for (const type of must)
		if (!types.includes(type))
			yield ["EVENT_MISSING", `the order is ${order.status} without ${type}`];
	for (const type of new Set(types.filter((type) => type !== REPEATED))) {
		if (types.filter((other) => other === type).length > 1)
			yield ["EVENT_TWICE", `${type} was published more than once`];
		if (!must.includes(type) && !may.includes(type))
			yield ["EVENT_UNFOUNDED", `the order is ${order.status}, but ${type} was published`];
	}
	for (const { id, type } of events.filter(({ type }) => !WITHOUT_MESSAGE.includes(type))) {
		const made = messages.filter(
			(message) => message.event_id === id && isRecipient(order, message.user_id),
		);
		if (made.length === 0) yield ["MESSAGE_MISSING", `${type} caused no message to its user`];
		if (made.length > 1) yield ["MESSAGE_TWICE", `${type} caused ${made.length} messages`];
	}
	for (const { event_id, user_id, template } of messages) {
		if (template === LATE_PAYMENT) continue;
		if (!isRecipient(order, user_id))
			yield ["MESSAGE_UNFOUNDED", `the message ${template} was sent to another user`];
		else if (!events.some(({ id }) => id === event_id))
			yield ["MESSAGE_UNFOUNDED", `the message ${template} belongs to no event`];
	}
}
