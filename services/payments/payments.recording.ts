import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { type Outcome, refused } from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { isTaken } from "./payments.ledger.rules.ts";
import { recordReports } from "./payments.ledger-store.ts";
import { type ChargeState, chargeOutcome, GUEST } from "./payments.rules.ts";
import {
	columns,
	RECORD,
	RECORD_FIELDS,
	RECORD_NEW,
	RECORD_NEW_DETAILED,
	RECORD_WAITING,
} from "./payments.statements.ts";
import type { ProviderResult } from "./providers/provider.ts";

/** An order to charge. */
export interface Charge extends Traced {
	readonly order_id: string;
	/** Null for a guest. */
	readonly user_id: string | null;
	readonly amount: number;
	readonly currency: string;
	readonly payment_token: string;
}
/** The provider's response for one order. */
export interface Response<Result extends ProviderResult = ProviderResult> {
	readonly order: Charge;
	readonly result: Result;
}
type Row = ChargeState & { readonly id: string; readonly order_id: string };
type Store = Pick<Dependencies, "db" | "eventData" | "wakeRelay" | "windowSeconds">;

type Decided = Extract<ProviderResult, { status: "authorized" | "captured" | "declined" }>;
type Waiting = Extract<ProviderResult, { status: "requires_action" | "processing" }>;
const isDecided = (response: Response): response is Response<Decided> =>
	!isWaiting(response) && response.result.status !== "closed";
const isWaiting = (response: Response): response is Response<Waiting> =>
	response.result.status === "requires_action" || response.result.status === "processing";

/**
 * Records the provider's responses to charges and returns an outcome by order ID. The usual case,
 * new payments that are decided at once, takes one statement. A payment that already exists changes
 * only through its ledger.
 */
export async function recordCharges(
	store: Store,
	responses: readonly Response[],
): Promise<Map<string, Outcome>> {
	const outcomes = new Map(responses.map(({ order }) => [order.order_id, refused("REVERSED")]));
	for (const [order_id, row] of await recordDecided(store, responses.filter(isDecided)))
		outcomes.set(order_id, chargeOutcome(row));
	const waiting = responses.filter(isWaiting);
	if (waiting.length > 0)
		for (const [order_id, row] of await recordWaiting(store, waiting))
			outcomes.set(order_id, chargeOutcome(row));
	return outcomes;
}

async function recordDecided(
	store: Store,
	responses: readonly Response<Decided>[],
): Promise<Map<string, ChargeState | undefined>> {
	if (responses.length === 0) return new Map();
	const rows = responses.map(({ order, result }) => toRow(store, order, result));
	const values = [...columns(rows, RECORD_FIELDS), traceparentsOf(rows)];
	const references = valuesOrNull(responses, ({ result }) => result.reference);
	const codes = valuesOrNull(responses, ({ result }) =>
		result.status === "declined" ? result.code : undefined,
	);
	const details = [references, codes];
	const allNew =
		references || codes
			? await store.db.insertNew(RECORD_NEW_DETAILED, [...values, ...details])
			: await store.db.insertNew(RECORD_NEW, values);
	const found = allNew
		? rows.map((row) => ({ ...row, reversal: null }))
		: await store.db.query<Row>(RECORD, [...values, ...details]);
	store.wakeRelay(...new Set(rows.map(({ type }) => type)));
	const byOrder = new Map<string, ChargeState | undefined>(found.map((row) => [row.order_id, row]));
	const reports = responses.flatMap(({ order: { order_id, traceparent }, result }) => {
		const status = byOrder.get(order_id)?.status;
		const isNews = status && status !== result.status && !isTaken(status);
		return isNews ? [{ order_id, traceparent, result }] : [];
	});
	if (reports.length > 0)
		for (const [order_id, row] of await recordReports(store, reports)) byOrder.set(order_id, row);
	for (const { order_id } of rows) if (!byOrder.has(order_id)) byOrder.set(order_id, undefined);
	return byOrder;
}

async function recordWaiting(
	store: Store,
	responses: readonly Response<Waiting>[],
): Promise<Map<string, ChargeState>> {
	const rows = responses.map(({ order, result }) => ({
		...order,
		user_id: order.user_id ?? GUEST,
		id: newId(),
		status: result.status,
	}));
	await store.db.query(RECORD_WAITING, [
		...columns(rows, ["id", "order_id", "user_id", "amount", "currency", "status"]),
		store.windowSeconds,
	]);
	const reports = responses.map(({ order: { order_id, traceparent }, result }) => ({
		order_id,
		traceparent,
		result,
	}));
	return recordReports(store, reports);
}

/** One value per response as an array parameter, or null if no response has one. */
function valuesOrNull(
	responses: readonly Response<Decided>[],
	read: (response: Response<Decided>) => string | undefined,
): (string | undefined)[] | null {
	return responses.some((response) => read(response) !== undefined) ? responses.map(read) : null;
}

function toRow(
	{ eventData }: Pick<Dependencies, "eventData">,
	{ order_id, user_id, amount, currency, traceparent }: Charge,
	result: Decided,
) {
	const id = newId();
	const { status } = result;
	const owner = user_id ?? GUEST;
	const common = { id, order_id, user_id: owner, amount, currency, traceparent, status };
	if (result.status === "declined") {
		const { reason } = result;
		return {
			...common,
			decline_reason: reason,
			type: "payment.declined" as const,
			event: eventData("payment.declined", { order_id, reason }),
		};
	}
	const type = `payment.${result.status}` as const;
	return {
		...common,
		decline_reason: null,
		type,
		event: eventData(type, { order_id, payment_id: id, amount, currency }),
	};
}
