import { settleWithin } from "../../lib/async/settle-within.ts";
import { runInTracesOf, type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Dependencies } from "./payments.refunds.ts";
import { type ChargeState, chargeOutcome, next } from "./payments.rules.ts";
import {
	CAPTURED,
	CLAIM_AUTHORIZED,
	RECORD,
	RECORD_NEW,
	SWEPT_AT_ONCE,
} from "./payments.statements.ts";
import type { ProviderResult } from "./providers/provider.ts";

export interface Order extends Traced {
	readonly order_id: string;
	readonly user_id: string;
	readonly amount: number;
	readonly currency: string;
	readonly payment_token: string;
}
type Due = Pick<Order, "order_id" | "amount" | "currency" | "traceparent">;
type Heard<O extends Due = Order> = { readonly order: O; readonly answer: ProviderResult };
type Recorded = ChargeState & { readonly id: string; readonly order_id: string };

/** After so long an answer is taken for lost, and the provider is asked anew. */
const LOST = 5000;
/** The most orders that wait for the provider in one process; more of them are told to ask again. */
const MOST = 5000;

/**
 * Charging orders: the provider authorises and captures in one request, with the order's id as the key of both, and the result is recorded.
 * A payment goes from nothing to captured, so, in one statement of ours. Whatever crashes or gets lost in between, asking again is enough:
 * - nothing is on record: the provider gives the answer that it has for the key, or goes on where it broke off.
 * - an authorisation is on record: it is captured, under the same key.
 * So there is nothing to reconcile besides: who asked for a charge asks until it is done or refused, or has it reversed until that is done.
 * What was only authorised nobody captures unasked: its order may be given up, and to void it is better than to pay it back.
 */
export function createCharges({
	db,
	eventData,
	wakeRelay,
	logger,
	provider,
	patience,
}: Dependencies) {
	/** Orders whose answer is still to come. */
	const flights = new Map<string, Promise<ProviderResult>>();

	/** Asks the provider to charge an order; once at a time. */
	function launch(orders: readonly Order[]): Promise<ProviderResult>[] {
		const answers = provider.authorize(
			orders.map(({ order_id, amount, currency, payment_token }) => ({
				key: order_id,
				amount,
				currency,
				token: payment_token,
				capture: true,
			})),
		);
		answers.forEach((answer, i) => {
			const { order_id } = orders[i]!;
			flights.set(order_id, answer);
			const land = () => forget(order_id, answer);
			answer.then(land, land);
		});
		return answers;
	}
	function forget(order_id: string, answer: Promise<ProviderResult>) {
		if (flights.get(order_id) === answer) flights.delete(order_id);
	}

	/** Records an answer whenever it comes. */
	async function follow(order: Order, answer: Promise<ProviderResult>): Promise<void> {
		setTimeout(() => forget(order.order_id, answer), LOST).unref();
		try {
			await record([{ order, answer: await answer }]);
		} catch (error) {
			unanswered(order.order_id, error);
		}
	}
	const unanswered = (order_id: string, error: unknown) =>
		logger.warn("The payment provider gave no answer and has to be asked again", {
			order_id,
			error,
		});

	/** What was answered promptly. An answer that is under way may have been lost, so what became of its order is looked up. */
	async function ask(fresh: readonly Order[], asked: readonly Order[]): Promise<Heard[]> {
		const launched = launch(fresh);
		const heard = await settleWithin(
			[...launched, ...provider.lookup(asked.map(({ order_id }) => order_id))],
			patience,
		);
		return [...fresh, ...asked].flatMap((order, i) => {
			const result = heard[i];
			if (!result && launched[i]) runInTracesOf([order], () => follow(order, launched[i]!));
			if (result?.status === "rejected") unanswered(order.order_id, result.reason);
			return result?.status === "fulfilled" && result.value
				? [{ order, answer: result.value }]
				: [];
		});
	}

	/** Captures what broke off after it was authorised; it is as it was where that is not answered promptly. */
	async function goOn(heard: readonly Heard[]): Promise<readonly Heard[]> {
		const open = heard.filter(({ answer }) => answer.status === "authorized");
		if (open.length === 0) return heard;
		const captures = provider.capture(
			open.map(({ order: { order_id, amount } }) => ({
				key: order_id,
				authorization: order_id,
				amount,
			})),
		);
		const results = await settleWithin(captures, patience);
		const captured = new Map<Heard, Heard>();
		open.forEach((one, i) => {
			const result = results[i];
			if (!result) runInTracesOf([one.order], () => follow(one.order, captures[i]!));
			if (result?.status === "rejected") unanswered(one.order.order_id, result.reason);
			if (result?.status === "fulfilled")
				captured.set(one, { order: one.order, answer: result.value });
		});
		return heard.map((one) => captured.get(one) ?? one);
	}

	async function record(heard: readonly Heard[]): Promise<Map<string, Outcome>> {
		const outcomes = new Map(heard.map(({ order }) => [order.order_id, refused("REVERSED")]));
		const rows = heard.flatMap(({ order, answer }) =>
			answer.status === "closed" ? [] : [toRow(order, answer)],
		);
		if (rows.length === 0) return outcomes;
		const values = [...columns(rows, RECORDED), traceparentsOf(rows)];
		const isNew = await db.insertNew(RECORD_NEW, values);
		const found = isNew
			? rows.map((row) => ({ ...row, reversal: null }))
			: await db.query<Recorded>(RECORD, values);
		wakeRelay();
		const standing = new Map(found.map((row) => [row.order_id, row]));
		// Authorised was on record already, so the statement that writes new payments has left it alone.
		for (const row of await noteCaptures(heard, standing)) standing.set(row.order_id, row);
		for (const { order_id } of rows) outcomes.set(order_id, chargeOutcome(standing.get(order_id)));
		return outcomes;
	}

	/** Writes down that payments which were on record as authorised are captured; answers where they stand then. */
	async function noteCaptures(
		heard: readonly Heard<Due>[],
		standing: ReadonlyMap<string, Pick<Recorded, "id" | "status">>,
	) {
		const rows = heard.flatMap(({ order: { order_id, amount, currency, traceparent }, answer }) => {
			const known = standing.get(order_id);
			if (answer.status !== "captured" || known?.status !== "authorized") return [];
			const { id } = known;
			const event = eventData("payment.captured", { order_id, payment_id: id, amount, currency });
			return [{ id, status: next("authorized", "capture"), event, traceparent }];
		});
		if (rows.length === 0) return [];
		const written = await db.query<Recorded>(CAPTURED, [
			...columns(rows, ["id", "status", "event"]),
			traceparentsOf(rows),
		]);
		wakeRelay();
		return written;
	}

	function toRow(
		{ order_id, user_id, amount, currency, traceparent }: Order,
		answer: Exclude<ProviderResult, { status: "closed" }>,
	) {
		const id = newId();
		const common = { id, order_id, user_id, amount, currency, traceparent };
		if (answer.status === "declined") {
			const { reason } = answer;
			const event = eventData("payment.declined", { order_id, reason });
			return {
				...common,
				status: next("none", "decline"),
				decline_reason: reason,
				type: "payment.declined",
				event,
			};
		}
		const type = `payment.${answer.status}` as const;
		const status = next("none", answer.status === "captured" ? "capture" : "authorize");
		return {
			...common,
			status,
			decline_reason: null,
			type,
			event: eventData(type, { order_id, payment_id: id, amount, currency }),
		};
	}

	return {
		/** One outcome for each order; `pending` where the provider did not answer promptly. */
		async charge(orders: readonly Order[]): Promise<Outcome[]> {
			const wanted = [...new Map(orders.map((order) => [order.order_id, order])).values()];
			const asked = wanted.filter(({ order_id }) => flights.has(order_id));
			const fresh = wanted
				.filter(({ order_id }) => !flights.has(order_id))
				.slice(0, Math.max(0, MOST - flights.size));
			const outcomes = await record(await goOn(await ask(fresh, asked)));
			return orders.map(({ order_id }) => outcomes.get(order_id) ?? pending);
		},

		noteCaptures,

		/**
		 * Looks up authorizations that have been on record for some time. The provider may have captured one whose response was never
		 * recorded, because the node died; then the capture is recorded.
		 * @returns whether more authorizations may be due
		 */
		async reconcile(): Promise<boolean> {
			const open = await db.query<Due & { id: string; status: "authorized" }>(CLAIM_AUTHORIZED);
			if (open.length === 0) return false;
			const heard = await settleWithin(
				provider.lookup(open.map(({ order_id }) => order_id)),
				patience,
			);
			const known = open.flatMap((order, i) => {
				const result = heard[i];
				return result?.status === "fulfilled" && result.value
					? [{ order, answer: result.value }]
					: [];
			});
			await noteCaptures(known, new Map(open.map((one) => [one.order_id, one])));
			return open.length === SWEPT_AT_ONCE;
		},
	};
}
export type Charges = ReturnType<typeof createCharges>;

/** The parameters of RECORD, in their order, but for the traces, which come last. */
const RECORDED = [
	"id",
	"order_id",
	"user_id",
	"amount",
	"currency",
	"status",
	"decline_reason",
	"type",
	"event",
] as const;
/** Rows as arrays, one for each field. */
export const columns = <K extends string>(
	rows: readonly Record<K, unknown>[],
	fields: readonly K[],
) => fields.map((field) => rows.map((row) => row[field]));
