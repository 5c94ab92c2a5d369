import { traceIdOf } from "../../../lib/context/traceparent.ts";
import type { Call } from "../../../lib/contracts/contract.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import type { Infer } from "../../../lib/contracts/schema.ts";
import { type RecordedEvent, readEventHistory } from "../../../lib/messaging/event-history.ts";
import { findRetries, type RetryRecord } from "../../../lib/messaging/inbox.ts";
import type { Queryable } from "../../../lib/persistence/database.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../notifications/notifications.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import type { timelineEntry } from "../orders.contract.shapes.ts";
import type { Order } from "../orders.rules.ts";

export type Entry = Infer<typeof timelineEntry>;
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

/** What a step did, and what took it back; every other fact is an event of the order's. */
const kinds: Readonly<Record<string, Entry["kind"]>> = {
	"inventory.reserved": "step",
	"payment.authorized": "step",
	"payment.captured": "step",
	"payment.declined": "step",
	"shipment.scheduled": "step",
	"inventory.released": "compensation",
	"payment.refunded": "compensation",
	"payment.voided": "compensation",
	"shipment.cancelled": "compensation",
};

const toEntry = (source: string, { type, time, data, traceparent }: RecordedEvent): Entry => ({
	time,
	source,
	kind: kinds[type] ?? "event",
	name: type,
	detail: data,
	trace_id: traceIdOf(traceparent) ?? null,
});

const ofMessage = ({ template, created_at, traceparent, ...detail }: Message): Entry => ({
	time: created_at,
	source: "notifications",
	kind: "message",
	name: template,
	detail,
	trace_id: traceIdOf(traceparent) ?? null,
});

/** Each time that a handler failed. Why is not for customers: operators find it in the log and, of dead letters, in `deadLetter`. */
const ofRetried = (source: string, { type, traceparent, failures, state }: RetryRecord): Entry[] =>
	failures.map((time, i) => ({
		time,
		source,
		kind: "retry",
		name: type,
		detail: { attempt: i + 1, state },
		trace_id: traceIdOf(traceparent) ?? null,
	}));

/** What the order's own row tells where the facts are not kept any more. */
function ofRow(
	{ status, created_at, updated_at, cancellation_reason }: Order,
	known: readonly RecordedEvent[],
): Entry[] {
	const told = new Set(known.map(({ type }) => type));
	const entry = (name: string, time: string, detail: object | null): Entry[] =>
		told.has(name) ? [] : [{ time, source: "orders", kind: "event", name, detail, trace_id: null }];
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

/** Everything that is known of an order, in the order in which it happened. */
export function timelineOf(
	order: Order,
	facts: Readonly<Record<string, readonly RecordedEvent[]>>,
	messages: readonly Message[],
	retried: Readonly<Record<string, readonly RetryRecord[]>>,
): Entry[] {
	const told = Object.entries(facts).flatMap(([source, found]) =>
		found.map((fact) => toEntry(source, fact)),
	);
	const failed = Object.entries(retried).flatMap(([source, found]) =>
		found.flatMap((one) => ofRetried(source, one)),
	);
	return [...ofRow(order, facts.orders ?? []), ...told, ...messages.map(ofMessage), ...failed].sort(
		(a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0),
	);
}

/** Asks everybody who had to do with an order; who is not there is named in `incomplete`. */
export async function collectTimeline(
	call: Call,
	db: Queryable,
	{ order, attempt }: { order: Order; attempt: number },
): Promise<Timeline> {
	const { id: subject, user_id } = order;
	const incomplete = new Set<string>();
	const from = <T>(source: string, answer: Promise<T[]>) =>
		answer.catch((): T[] => {
			incomplete.add(source);
			return [];
		});
	const [orders, inventory, payments, shipping, messages, ...retried] = await Promise.all([
		readEventHistory(db, subject),
		from("inventory", call("inventory.history", { subject })),
		from("payments", call("payments.history", { subject })),
		from("shipping", call("shipping.history", { subject })),
		from("notifications", call("notifications.about", { user_id, order_id: subject })),
		findRetries(db, "orders", subject),
		...NEIGHBOURS.map((name) => from(name, call(`${name}.retries`, { subject }))),
	]);
	const retries = Object.fromEntries(
		["orders", ...NEIGHBOURS].map((name, i) => [name, retried[i]!]),
	);
	const entries = timelineOf(order, { orders, inventory, payments, shipping }, messages, retries);
	return {
		order_id: order.id,
		status: order.status,
		attempts: attempt,
		entries,
		incomplete: [...incomplete].sort(),
	};
}
/** Whose handlers hear of orders, beside our own. */
const NEIGHBOURS = ["inventory", "notifications"] as const;

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
