import { traceIdOf } from "../../../lib/context/traceparent.ts";
import type { Call } from "../../../lib/contracts/contract.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import type { Infer } from "../../../lib/contracts/schema.ts";
import { type RecordedEvent, readEventHistory } from "../../../lib/messaging/event-history.ts";
import { findRetries, type RetryRecord } from "../../../lib/messaging/inbox.ts";
import type { Queryable } from "../../../lib/persistence/database.ts";
import type {} from "../../carts/carts.contract.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../notifications/notifications.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../promotions/promotions.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import type { timelineEntry } from "../orders.contract.shapes.ts";
import type { OrderRecord } from "../orders.queries.ts";
import { maySeeAccount, type Order, type Reader } from "../orders.rules.ts";
import { findFailures } from "../saga/failures.ts";
import { stepRetries } from "./step-retries.ts";

type Entry = Infer<typeof timelineEntry>;
interface Timeline {
	readonly order_id: string;
	readonly status: Order["status"];
	readonly attempts: number;
	readonly entries: Entry[];
	readonly incomplete: string[];
}
interface Message {
	readonly template: string;
	readonly channel: string;
	readonly status: string;
	readonly attempts: number;
	readonly created_at: string;
	readonly sent_at: string | null;
	readonly traceparent?: string | null;
}

/** Events of steps and compensations. All other events have the kind `event`. */
const kinds: Readonly<Record<string, Entry["kind"]>> = {
	"inventory.reserved": "step",
	"promotion.redeemed": "step",
	"payment.authorized": "step",
	"payment.captured": "step",
	"payment.declined": "step",
	"shipment.scheduled": "step",
	"inventory.released": "compensation",
	"promotion.released": "compensation",
	"payment.refunded": "compensation",
	"payment.voided": "compensation",
	"shipment.cancelled": "compensation",
};

const eventEntry = (source: string, { type, time, data, traceparent }: RecordedEvent): Entry => ({
	time,
	source,
	kind: kinds[type] ?? "event",
	name: type,
	detail: data,
	trace_id: traceIdOf(traceparent) ?? null,
});

const messageEntry = ({ template, created_at, traceparent, ...detail }: Message): Entry => ({
	time: created_at,
	source: "notifications",
	kind: "message",
	name: template,
	detail,
	trace_id: traceIdOf(traceparent) ?? null,
});

/**
 * One entry per failed attempt of a handler. The error is not disclosed to customers: operators
 * find it in the log and in the action `deadLetter`.
 */
const retryEntries = (
	source: string,
	{ type, traceparent, failures, state }: RetryRecord,
): Entry[] =>
	failures.map((time, i) => ({
		time,
		source,
		kind: "retry",
		name: type,
		detail: { attempt: i + 1, state },
		trace_id: traceIdOf(traceparent) ?? null,
	}));

/** Entries from the order's row, for events that have exceeded the retention. */
function rowEntries(
	{ status, created_at, updated_at, cancellation_reason }: Order,
	events: readonly RecordedEvent[],
): Entry[] {
	const types = new Set(events.map(({ type }) => type));
	const entry = (name: string, time: string, detail: object | null): Entry[] =>
		types.has(name)
			? []
			: [{ time, source: "orders", kind: "event", name, detail, trace_id: null }];
	const settled =
		status === "pending"
			? []
			: entry(
					`order.${status}`,
					updated_at,
					cancellation_reason ? { reason: cancellation_reason } : null,
				);
	return [...entry("order.created", created_at, null), ...settled];
}

/**
 * The stock is reserved while the order is written, so its event may be older than that of the
 * order. The creation has the time at which the order was accepted, before both.
 */
const sinceAccepted = (entry: Entry, { created_at }: Order): Entry =>
	isCreation(entry) && created_at < entry.time ? { ...entry, time: created_at } : entry;
const isCreation = ({ name }: Entry): boolean => name === "order.created";
const byTime = (a: Entry, b: Entry): number =>
	a.time < b.time ? -1 : a.time > b.time ? 1 : Number(isCreation(b)) - Number(isCreation(a));

/** All entries of an order, by time. */
function timelineOf(
	order: Order,
	events: Readonly<Record<string, readonly RecordedEvent[]>>,
	messages: readonly Message[],
	retried: Readonly<Record<string, readonly RetryRecord[]>>,
	repeatedSteps: readonly Entry[],
): Entry[] {
	const published = Object.entries(events).flatMap(([source, found]) =>
		found.map((event) => eventEntry(source, event)),
	);
	const failed = Object.entries(retried).flatMap(([source, found]) =>
		found.flatMap((record) => retryEntries(source, record)),
	);
	return [
		...rowEntries(order, events.orders ?? []),
		...published,
		...messages.map(messageEntry),
		...failed,
		...repeatedSteps,
	]
		.map((entry) => sinceAccepted(entry, order))
		.sort(byTime);
}

/**
 * Collects the entries of all services. `incomplete` lists the services that could not be reached.
 */
export async function collectTimeline(
	call: Call,
	db: Queryable,
	record: OrderRecord,
	caller: Reader["user"],
): Promise<Timeline> {
	const { order, priced, attempt } = record;
	const { id: subject, user_id } = order;
	const incomplete = new Set<string>();
	const from = <T>(source: string, result: Promise<T[]>) =>
		result.catch((): T[] => {
			incomplete.add(source);
			return [];
		});
	const usesPromotions = priced !== null && priced.adjustments.length > 0;
	const [orders, failures, promotions, inventory, payments, shipping, messages, ...retried] =
		await Promise.all([
			readEventHistory(db, subject),
			findFailures(db, subject),
			usesPromotions ? from("promotions", call("promotions.history", { subject })) : [],
			from("inventory", call("inventory.history", { subject })),
			from("payments", call("payments.history", { subject })),
			from("shipping", call("shipping.history", { subject })),
			from("notifications", call("notifications.about", { user_id, order_id: subject })),
			findRetries(db, "orders", subject),
			...SUBSCRIBERS.map((name) => from(name, call(`${name}.retries`, { subject }))),
		]);
	const retries = Object.fromEntries(
		["orders", ...SUBSCRIBERS].map((name, i) => [name, retried[i]!]),
	);
	const visible = (events: readonly RecordedEvent[]) =>
		events.map((event) => visibleEvent(event, order, caller));
	const entries = timelineOf(
		order,
		{
			orders: visible(orders),
			promotions: visible(promotions),
			inventory: visible(inventory),
			payments: visible(payments),
			shipping: visible(shipping),
		},
		messages,
		retries,
		stepRetries(failures, record, caller?.role === "admin"),
	);
	return {
		order_id: order.id,
		status: order.status,
		attempts: attempt,
		entries,
		incomplete: [...incomplete].sort(),
	};
}
/** Other services with subscriptions to order events. */
const SUBSCRIBERS = ["inventory", "notifications"] as const;

/** The event, without the ID of its user unless the caller may see the account of the order. */
export function visibleEvent(
	event: RecordedEvent,
	order: Order,
	caller: Reader["user"],
): RecordedEvent {
	if (maySeeAccount(order, caller)) return event;
	const { user_id: _, ...data } = event.data as { user_id?: string | null };
	return { ...event, data };
}

/** Converts a recorded event for an event stream. Its ID is the sequence, to resume the stream. */
export const toStreamEvent = ({
	sequence,
	type,
	time,
	data,
}: RecordedEvent): EventStreamPage["events"][number] => ({
	id: sequence,
	type,
	data: { time, ...(data as object) },
});
