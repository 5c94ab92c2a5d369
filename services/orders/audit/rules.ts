import type { EventType } from "../../../lib/contracts/contract.ts";
import type { Line, Status } from "../orders.rules.ts";

/** An order as its own database tells of it. */
export interface AuditedOrder {
	readonly id: string;
	readonly user_id: string;
	readonly status: Status;
	readonly total_amount: number;
	readonly items: readonly Pick<Line, "product_id" | "quantity">[];
	readonly saga_state: "forward" | "backward" | "stuck" | null;
	/** Null where some of them are so old that they are no longer kept. */
	readonly events: readonly { readonly id: string; readonly type: EventType }[] | null;
}
/** What all services know of one order; undefined is nothing. */
export interface Look {
	readonly order?: AuditedOrder | undefined;
	readonly reservation?:
		| {
				status: "held" | "released" | "fulfilled";
				items: { product_id: string; quantity: number }[];
		  }
		| undefined;
	readonly payment?:
		| { status: string; amount: number; refunded_amount: number; unsettled: number }
		| undefined;
	/** The payment provider's side. */
	readonly charge?: { authorized: number; charged: number; refunded: number } | undefined;
	readonly shipment?: { status: string } | undefined;
	readonly messages: readonly { event_id: string; user_id: string; template: string }[];
}
export interface Violation {
	readonly invariant: string;
	/** The id of the order, the product, or whatever else it is about. */
	readonly subject: string;
	readonly detail: string;
}
type Found = readonly [invariant: string, detail: string];

const MONEY_TAKEN: ReadonlySet<string | undefined> = new Set([
	"captured",
	"partially_refunded",
	"refunded",
]);
const LIVE: ReadonlySet<string | undefined> = new Set([
	"scheduled",
	"dispatched",
	"delivered",
	"returned",
]);
/** What of the neighbours belongs to a status that holds something. */
const belongings = {
	confirmed: { reservation: "held", shipment: ["scheduled"] },
	shipped: { reservation: "fulfilled", shipment: ["dispatched", "returned"] },
	delivered: { reservation: "fulfilled", shipment: ["delivered"] },
} as const;
/** What an order of this status has told, apart from what it may have told. */
const told: Readonly<
	Record<Status, { readonly must: readonly EventType[]; readonly may?: readonly EventType[] }>
> = {
	pending: { must: ["order.created"] },
	confirmed: { must: ["order.created", "order.confirmed"] },
	shipped: { must: ["order.created", "order.confirmed", "order.shipped"] },
	delivered: { must: ["order.created", "order.confirmed", "order.shipped", "order.delivered"] },
	cancelled: { must: ["order.created", "order.cancelled"], may: ["order.confirmed"] },
};

const cents = (amount: number) => Math.round(amount * 100);

/** Which invariants one order breaks, for an order that nobody is working on. */
export function judgeOrder(subject: string, look: Look): Violation[] {
	const { order } = look;
	const found = [
		...(order === undefined ? judgeOrphan(look) : judgeStatus(order, look)),
		...judgeLedger(look),
		...(order?.events ? judgeEvents(order, order.events, look.messages) : []),
	];
	return found.map(([invariant, detail]) => ({ invariant, subject, detail }));
}

/** Tombstones are all right without an order. */
function* judgeOrphan({ reservation, payment, charge, shipment }: Look): Iterable<Found> {
	if (reservation?.status === "held")
		yield ["RESERVATION_WITHOUT_ORDER", "stock is held for an order that does not exist"];
	if (MONEY_TAKEN.has(payment?.status))
		yield ["PAYMENT_WITHOUT_ORDER", "a payment was taken for an order that does not exist"];
	if (charge && charge.charged > charge.refunded)
		yield [
			"CHARGE_WITHOUT_ORDER",
			`the provider has charged ${charge.charged} under a key that is no order's: charged twice, if it belongs to one`,
		];
	if (LIVE.has(shipment?.status))
		yield ["SHIPMENT_WITHOUT_ORDER", "there is a shipment for an order that does not exist"];
}

function* judgeStatus(order: AuditedOrder, look: Look): Iterable<Found> {
	if (order.saga_state === "stuck")
		return yield ["SAGA_STUCK", "its steps could not be taken back; retry it with orders.retry"];
	if (order.status === "pending")
		return yield ["PENDING_WITHOUT_SAGA", "it is pending and nobody works on it"];
	if (order.status === "cancelled") return yield* judgeCancelled(look);
	yield* judgeHolding(order, order.status, look);
}

function* judgeHolding(
	order: AuditedOrder,
	status: keyof typeof belongings,
	{ reservation, payment, shipment }: Look,
): Iterable<Found> {
	const wanted = belongings[status];
	if (reservation?.status !== wanted.reservation)
		yield [
			"WRONG_RESERVATION",
			`it is ${status}, its reservation is ${reservation?.status ?? "missing"} and not ${wanted.reservation}`,
		];
	else if (!sameLines(order.items, reservation.items))
		yield ["WRONG_RESERVATION", "its reservation is not of what was ordered"];
	if (!payment || !MONEY_TAKEN.has(payment.status))
		yield ["WRONG_PAYMENT", `it is ${status}, its payment is ${payment?.status ?? "missing"}`];
	else if (cents(payment.amount) !== cents(order.total_amount))
		yield ["WRONG_PAYMENT", `${payment.amount} was taken, its total is ${order.total_amount}`];
	if (!wanted.shipment.some((one) => one === shipment?.status))
		yield ["WRONG_SHIPMENT", `it is ${status}, its shipment is ${shipment?.status ?? "missing"}`];
}

function* judgeCancelled({ reservation, payment, shipment }: Look): Iterable<Found> {
	if (reservation && reservation.status !== "released")
		yield ["CANCELLED_BUT_HELD", `its reservation is ${reservation.status}`];
	if (
		payment &&
		MONEY_TAKEN.has(payment.status) &&
		cents(payment.refunded_amount) !== cents(payment.amount)
	)
		yield [
			"CANCELLED_BUT_CHARGED",
			`${payment.amount} was taken, ${payment.refunded_amount} paid back`,
		];
	if (shipment && shipment.status !== "cancelled")
		yield ["CANCELLED_BUT_SHIPPED", `its shipment is ${shipment.status}`];
}

/**
 * What the provider took and paid back is what our payment says, save for refunds that are still on their way, and nothing is set aside any
 * more once an order is settled.
 */
function* judgeLedger({ order, payment, charge }: Look): Iterable<Found> {
	const taken = MONEY_TAKEN.has(payment?.status);
	const ours = taken ? payment! : { amount: 0, refunded_amount: 0, unsettled: 0 };
	const theirs = charge ?? { authorized: 0, charged: 0, refunded: 0 };
	if (theirs.authorized > 0)
		yield [
			"AUTHORIZATION_OPEN",
			`${theirs.authorized} is set aside, and neither captured nor voided`,
		];
	else if (payment?.status === "authorized")
		yield ["AUTHORIZATION_OPEN", "its payment says that it is authorised, the provider does not"];
	if (order === undefined && payment === undefined) return;
	const left = cents(theirs.charged) - cents(theirs.refunded);
	const wanted = cents(ours.amount) - cents(ours.refunded_amount);
	if (!taken && left > 0)
		yield [
			"CAPTURE_WITHOUT_PAYMENT",
			`the provider holds ${left / 100}, and there is no payment of that`,
		];
	else if (left < wanted || left > wanted + cents(ours.unsettled))
		yield ["LEDGER_MISMATCH", `the provider holds ${left / 100}, our payment says ${wanted / 100}`];
	// A charge that nobody had on record may have been paid back in full; otherwise both sides name the same charge.
	if (taken && cents(theirs.charged) > cents(ours.amount))
		yield [
			"CAPTURED_TWICE",
			`the provider captured ${theirs.charged}, our payment says ${ours.amount}`,
		];
	else if (taken && cents(theirs.charged) < cents(ours.amount))
		yield [
			"LEDGER_MISMATCH",
			`the provider captured ${theirs.charged}, our payment says ${ours.amount}`,
		];
}

function* judgeEvents(
	order: AuditedOrder,
	events: NonNullable<AuditedOrder["events"]>,
	messages: Look["messages"],
): Iterable<Found> {
	const { must, may = [] } = told[order.status];
	const types = events.map(({ type }) => type);
	for (const type of must)
		if (!types.includes(type)) yield ["EVENT_MISSING", `it is ${order.status} without ${type}`];
	for (const type of new Set(types)) {
		if (types.filter((other) => other === type).length > 1)
			yield ["EVENT_TWICE", `${type} was told more than once`];
		if (!must.includes(type) && !may.includes(type))
			yield ["EVENT_UNFOUNDED", `it is ${order.status}, but ${type} was told`];
	}
	for (const { id, type } of events.filter(({ type }) => type !== "order.created")) {
		const made = messages.filter(
			({ event_id, user_id }) => event_id === id && user_id === order.user_id,
		);
		if (made.length === 0) yield ["MESSAGE_MISSING", `${type} made no message to its user`];
		if (made.length > 1) yield ["MESSAGE_TWICE", `${type} made ${made.length} messages`];
	}
	for (const { event_id, user_id, template } of messages) {
		if (user_id !== order.user_id)
			yield ["MESSAGE_UNFOUNDED", `the message ${template} went to somebody else`];
		else if (!events.some(({ id }) => id === event_id))
			yield ["MESSAGE_UNFOUNDED", `there is no event behind the message ${template}`];
	}
}

function sameLines(wanted: AuditedOrder["items"], held: AuditedOrder["items"]): boolean {
	const text = (lines: AuditedOrder["items"]) =>
		lines
			.map(({ product_id, quantity }) => `${product_id} ${quantity}`)
			.sort()
			.join();
	return text(wanted) === text(held);
}

/** Which invariants the books of one product break. */
export function judgeStock({
	product_id,
	on_hand,
	reserved,
	held,
}: {
	product_id: string;
	on_hand: number;
	reserved: number;
	held: number;
}) {
	const found: Violation[] = [];
	if (on_hand < reserved)
		found.push({
			invariant: "OVERSOLD",
			subject: product_id,
			detail: `${reserved} are reserved, ${on_hand} on hand`,
		});
	if (reserved !== held)
		found.push({
			invariant: "RESERVED_MISMATCH",
			subject: product_id,
			detail: `${reserved} are reserved, open reservations hold ${held}`,
		});
	return found;
}
