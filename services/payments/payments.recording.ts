import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { type Outcome, refused } from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { type ChargeState, chargeOutcome, nextStatus } from "./payments.rules.ts";
import {
	columns,
	RECORD,
	RECORD_CAPTURES,
	RECORD_FIELDS,
	RECORD_NEW,
} from "./payments.statements.ts";
import type { ProviderResult } from "./providers/provider.ts";

/** An order to charge. */
export interface Charge extends Traced {
	readonly order_id: string;
	readonly user_id: string;
	readonly amount: number;
	readonly currency: string;
	readonly payment_token: string;
}
/** The part of an order that a capture needs. */
export type Authorized = Pick<Charge, "order_id" | "amount" | "currency" | "traceparent">;
/** The provider's response for one order. */
export interface Response<O extends Authorized = Charge> {
	readonly order: O;
	readonly result: ProviderResult;
}
type Row = ChargeState & { readonly id: string; readonly order_id: string };
type Store = Pick<Dependencies, "db" | "eventData" | "wakeRelay">;

/**
 * Records the provider's responses to charges and returns an outcome by order ID. A payment that
 * already exists keeps its state, except that a capture of an authorized payment is recorded.
 */
export async function recordCharges(
	store: Store,
	responses: readonly Response[],
): Promise<Map<string, Outcome>> {
	const outcomes = new Map(responses.map(({ order }) => [order.order_id, refused("REVERSED")]));
	const rows = responses.flatMap(({ order, result }) =>
		isRecorded(result) ? [toRow(store, order, result)] : [],
	);
	if (rows.length === 0) return outcomes;
	const values = [...columns(rows, RECORD_FIELDS), traceparentsOf(rows)];
	const allNew = await store.db.insertNew(RECORD_NEW, values);
	const found = allNew
		? rows.map((row) => ({ ...row, reversal: null }))
		: await store.db.query<Row>(RECORD, values);
	store.wakeRelay();
	const byOrder = new Map(found.map((row) => [row.order_id, row]));
	for (const row of await recordCaptures(store, responses, byOrder)) byOrder.set(row.order_id, row);
	for (const { order_id } of rows) outcomes.set(order_id, chargeOutcome(byOrder.get(order_id)));
	return outcomes;
}

/**
 * Records captures of payments whose recorded status is `authorized`.
 * @param recorded payments by order ID
 * @returns the current state of these payments
 */
export async function recordCaptures(
	{ db, eventData, wakeRelay }: Store,
	responses: readonly Response<Authorized>[],
	recorded: ReadonlyMap<string, Pick<Row, "id" | "status">>,
): Promise<Row[]> {
	const rows = responses.flatMap(({ order, result }) => {
		const { order_id, amount, currency, traceparent } = order;
		const payment = recorded.get(order_id);
		if (result.status !== "captured" || payment?.status !== "authorized") return [];
		const { id } = payment;
		const event = eventData("payment.captured", { order_id, payment_id: id, amount, currency });
		return [{ id, status: nextStatus("authorized", "capture"), event, traceparent }];
	});
	if (rows.length === 0) return [];
	const values = [...columns(rows, ["id", "status", "event"]), traceparentsOf(rows)];
	const recordedRows = await db.query<Row>(RECORD_CAPTURES, values);
	wakeRelay();
	return recordedRows;
}

type RecordedResult = Extract<ProviderResult, { status: "authorized" | "captured" | "declined" }>;
const isRecorded = (result: ProviderResult): result is RecordedResult =>
	result.status === "authorized" || result.status === "captured" || result.status === "declined";

function toRow(
	{ eventData }: Pick<Dependencies, "eventData">,
	{ order_id, user_id, amount, currency, traceparent }: Charge,
	result: RecordedResult,
) {
	const id = newId();
	const common = { id, order_id, user_id, amount, currency, traceparent };
	if (result.status === "declined") {
		const { reason } = result;
		return {
			...common,
			status: nextStatus("none", "decline"),
			decline_reason: reason,
			type: "payment.declined",
			event: eventData("payment.declined", { order_id, reason }),
		};
	}
	const type = `payment.${result.status}` as const;
	return {
		...common,
		status: nextStatus("none", result.status === "captured" ? "capture" : "authorize"),
		decline_reason: null,
		type,
		event: eventData(type, { order_id, payment_id: id, amount, currency }),
	};
}
