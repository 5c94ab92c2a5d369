import { fromSmallestUnits, toSmallestUnits } from "../../../lib/money/currency.ts";
import { checkEvents } from "./event-rules.ts";
import { checkLineRefunds, checkPrices, checkRedemption } from "./price-rules.ts";
import type { AuditedOrder, Finding, OrderRecords, Violation } from "./records.ts";

const MONEY_TAKEN: ReadonlySet<string | undefined> = new Set([
	"disputed",
	"captured",
	"partially_refunded",
	"refunded",
]);
const UNDECIDED: ReadonlySet<string | undefined> = new Set(["requires_action", "processing"]);
const LIVE: ReadonlySet<string | undefined> = new Set([
	"scheduled",
	"dispatched",
	"delivered",
	"returned",
]);
/** Expected records of the other services, for statuses with a reservation and a shipment. */
const expectedRecords = {
	confirmed: { reservation: "held", shipment: ["scheduled"] },
	shipped: { reservation: "fulfilled", shipment: ["dispatched", "returned"] },
	delivered: { reservation: "fulfilled", shipment: ["delivered"] },
} as const;

/** Violations of invariants by one order without an open saga. */
export function checkOrder(subject: string, records: OrderRecords): Violation[] {
	const { order } = records;
	const found = [
		...(order === undefined ? checkOrphan(records) : checkStatus(order, records)),
		...checkLedger(records),
		...checkRefunds(records),
		...checkLineRefunds(records),
		...checkRedemption(records),
		...(order ? checkPrices(order) : []),
		...(order?.events ? checkEvents(order, order.events, records.messages) : []),
	];
	return found.map(([invariant, detail]) => ({ invariant, subject, detail }));
}

/** An operator has to repeat a failed refund, or pay the amount in another way. */
function* checkRefunds({ payment }: OrderRecords): Iterable<Finding> {
	const count = payment?.failed_refunds ?? 0;
	if (count > 0) yield ["REFUND_FAILED", `${count} refunds failed after they were accepted`];
}

/**
 * Records without an order. Tombstones are valid, and so is a reservation until it expires: the
 * stock is reserved while the order is written.
 */
function* checkOrphan({ reservation, payment, charge, shipment }: OrderRecords): Iterable<Finding> {
	if (reservation?.status === "held" && !isAhead(reservation.expires_at))
		yield ["RESERVATION_WITHOUT_ORDER", "stock is held for an order that does not exist"];
	if (MONEY_TAKEN.has(payment?.status))
		yield ["PAYMENT_WITHOUT_ORDER", "a payment was taken for an order that does not exist"];
	if (charge && charge.charged > charge.refunded)
		yield [
			"CHARGE_WITHOUT_ORDER",
			`the provider has captured ${charge.charged} under a key without an order; ` +
				"an order may be charged twice",
		];
	if (LIVE.has(shipment?.status))
		yield ["SHIPMENT_WITHOUT_ORDER", "a shipment exists for an order that does not exist"];
}

/** Whether a time is in the future. */
const isAhead = (time: string | null | undefined): boolean =>
	time !== undefined && time !== null && Date.parse(time) > Date.now();

function* checkStatus(order: AuditedOrder, records: OrderRecords): Iterable<Finding> {
	if (order.saga_state === "stuck")
		return yield ["SAGA_STUCK", "the compensation failed repeatedly; retry it with orders.retry"];
	if (order.saga_state === "waiting") return yield* checkWaiting(order, records);
	if (order.status === "pending")
		return yield ["PENDING_WITHOUT_SAGA", "the order is pending without a saga"];
	if (order.status === "cancelled") return yield* checkCancelled(records);
	yield* checkHolding(order, order.status, records);
}

/** An order holds its stock while it waits for its payment. */
function* checkWaiting(
	order: AuditedOrder,
	{ reservation, payment }: OrderRecords,
): Iterable<Finding> {
	if (reservation?.status !== "held" || !sameLines(order.items, reservation.items))
		yield ["WRONG_RESERVATION", "the order waits for its payment without its reservation"];
	if (!UNDECIDED.has(payment?.status))
		yield [
			"WRONG_PAYMENT",
			`the order waits for its payment, which is ${payment?.status ?? "missing"}`,
		];
}

function* checkHolding(
	order: AuditedOrder,
	status: keyof typeof expectedRecords,
	{ reservation, payment, shipment }: OrderRecords,
): Iterable<Finding> {
	const expected = expectedRecords[status];
	const held = reservation?.status ?? "missing";
	if (reservation?.status !== expected.reservation)
		yield [
			"WRONG_RESERVATION",
			`the order is ${status}, but its reservation is ${held} instead of ${expected.reservation}`,
		];
	else if (!sameLines(order.items, reservation.items))
		yield ["WRONG_RESERVATION", "the reservation differs from the lines of the order"];
	// A free order is not charged.
	const isFree = order.total_amount === 0 && payment === undefined;
	if (!isFree && !MONEY_TAKEN.has(payment?.status))
		yield [
			"WRONG_PAYMENT",
			`the order is ${status}, but its payment is ${payment?.status ?? "missing"}`,
		];
	else if (payment && toSmallestUnits(payment.amount) !== toSmallestUnits(order.total_amount))
		yield [
			"WRONG_PAYMENT",
			`${payment.amount} was captured, but the order's total is ${order.total_amount}`,
		];
	if (!expected.shipment.some((allowed) => allowed === shipment?.status))
		yield [
			"WRONG_SHIPMENT",
			`the order is ${status}, but its shipment is ${shipment?.status ?? "missing"}`,
		];
}

function* checkCancelled({ reservation, payment, shipment }: OrderRecords): Iterable<Finding> {
	if (reservation && reservation.status !== "released")
		yield ["CANCELLED_BUT_HELD", `the reservation is ${reservation.status}`];
	if (
		payment &&
		MONEY_TAKEN.has(payment.status) &&
		toSmallestUnits(payment.refunded_amount) !== toSmallestUnits(payment.amount)
	)
		yield [
			"CANCELLED_BUT_CHARGED",
			`${payment.amount} was captured, but only ${payment.refunded_amount} refunded`,
		];
	if (shipment && shipment.status !== "cancelled")
		yield ["CANCELLED_BUT_SHIPPED", `the shipment is ${shipment.status}`];
}

/**
 * Compares the provider's record with the payment. They may differ by refunds that are in progress.
 * A settled order has no open authorization.
 */
function* checkLedger({ order, payment, charge }: OrderRecords): Iterable<Finding> {
	const taken = MONEY_TAKEN.has(payment?.status);
	const recorded = taken ? payment! : { amount: 0, refunded_amount: 0, unsettled: 0 };
	const provided = charge ?? { authorized: 0, charged: 0, refunded: 0 };
	if (provided.authorized > 0)
		yield [
			"AUTHORIZATION_OPEN",
			`${provided.authorized} is authorized, and neither captured nor voided`,
		];
	else if (payment?.status === "authorized")
		yield [
			"AUTHORIZATION_OPEN",
			"the payment is authorized, but the provider has no authorization",
		];
	if (order === undefined && payment === undefined) return;
	const left = toSmallestUnits(provided.charged) - toSmallestUnits(provided.refunded);
	const wanted = toSmallestUnits(recorded.amount) - toSmallestUnits(recorded.refunded_amount);
	if (!taken && left > 0)
		yield [
			"CAPTURE_WITHOUT_PAYMENT",
			`the provider holds ${fromSmallestUnits(left)} without a payment`,
		];
	else if (left < wanted || left > wanted + toSmallestUnits(recorded.unsettled))
		yield [
			"LEDGER_MISMATCH",
			`the provider holds ${fromSmallestUnits(left)}, ` +
				`the payment records ${fromSmallestUnits(wanted)}`,
		];
	// A refunded charge without a payment is valid; otherwise both records contain the same amount.
	if (taken && toSmallestUnits(provided.charged) > toSmallestUnits(recorded.amount))
		yield [
			"CAPTURED_TWICE",
			`the provider captured ${provided.charged}, the payment records ${recorded.amount}`,
		];
	else if (taken && toSmallestUnits(provided.charged) < toSmallestUnits(recorded.amount))
		yield [
			"LEDGER_MISMATCH",
			`the provider captured ${provided.charged}, the payment records ${recorded.amount}`,
		];
}

type Pieces = readonly { readonly product_id: string; readonly quantity: number }[];
function sameLines(wanted: Pieces, held: Pieces): boolean {
	const text = (lines: Pieces) =>
		lines
			.map(({ product_id, quantity }) => `${product_id} ${quantity}`)
			.sort()
			.join();
	return text(wanted) === text(held);
}

/** Violations of invariants by the stock of one product. */
export function checkStock({
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
			detail: `${reserved} units are reserved, but only ${on_hand} are on hand`,
		});
	if (reserved !== held)
		found.push({
			invariant: "RESERVED_MISMATCH",
			subject: product_id,
			detail: `${reserved} units are reserved, but open reservations hold ${held}`,
		});
	return found;
}
