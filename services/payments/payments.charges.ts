import { v7 as uuid } from "uuid";
import { done, type Outcome, pending, refused } from "../../lib/outcome.ts";
import { promptly } from "../../lib/promptly.ts";
import { type Traced, tracesOf } from "../../lib/traceparent.ts";
import type { ChargeAnswer } from "./payments.provider.ts";
import type { Desk, Refunds } from "./payments.refunds.ts";
import { chargeOutcome, next, type Payment, type Standing } from "./payments.rules.ts";
import { BEGIN_REVERSAL, END_REVERSAL, RECORD } from "./payments.statements.ts";

export interface Order extends Traced {
	readonly order_id: string;
	readonly user_id: string;
	readonly amount: number;
	readonly currency: string;
	readonly payment_token: string;
}
type Known = Exclude<ChargeAnswer, { status: "closed" }>;
type Outcomes = Map<string, Outcome>;
type Reversing = Payment & { reversal: "begun" | "done" };

/** After so long an answer is taken for lost, and the provider is asked anew. */
const LOST = 5000;
/** The most orders that wait for the provider in one process; more of them are told to ask again. */
const MOST = 5000;

/**
 * Charging orders and its undo, with the order's id as the provider's idempotency key.
 *
 * Do: the provider charges; the result is recorded. Undo: the row is marked (or a tombstone made); the provider closes the key, which pays
 * back whatever was charged under it; the end is recorded. Whatever crashes or overtakes between these steps, asking again is enough:
 * - charged, but not recorded: the provider gives the same answer to the next charge, and a reversal has the money paid back.
 * - marked, but not closed: a charge may still go through at the provider, but finds the mark when it comes to be recorded, is refused, and
 *   closing the key pays it back. The reversal is not done before that, so it is asked for again.
 * - closed, but not recorded: closing again answers as it did.
 * So there is nothing to reconcile besides: who asked for a charge asks until it is done or refused, or has it reversed until that is done.
 */
export function charging({ db, fact, wakeRelay, logger, provider, patience }: Desk, refunds: Refunds) {
	/** Orders whose answer is still to come. */
	const flights = new Map<string, Promise<ChargeAnswer>>();

	/** Asks the provider to charge an order; once at a time. */
	function launch(orders: readonly Order[]): Promise<ChargeAnswer>[] {
		const answers = provider.charge(
			orders.map(({ order_id, amount, currency, payment_token }) => ({ key: order_id, amount, currency, token: payment_token })),
		);
		answers.forEach((answer, i) => {
			const { order_id } = orders[i]!;
			flights.set(order_id, answer);
			const land = () => forget(order_id, answer);
			answer.then(land, land);
		});
		return answers;
	}
	function forget(order_id: string, answer: Promise<ChargeAnswer>) {
		if (flights.get(order_id) === answer) flights.delete(order_id);
	}

	/** Records an answer whenever it comes. */
	async function follow(order: Order, answer: Promise<ChargeAnswer>): Promise<void> {
		setTimeout(() => forget(order.order_id, answer), LOST).unref();
		try {
			await record([{ order, answer: await answer }]);
		} catch (error) {
			unanswered(order.order_id, error);
		}
	}
	const unanswered = (order_id: string, error: unknown) =>
		logger.warn("The payment provider gave no answer and has to be asked again", { order_id, error });

	async function record(heard: readonly { order: Order; answer: ChargeAnswer }[]): Promise<Outcomes> {
		const outcomes: Outcomes = new Map(heard.map(({ order }) => [order.order_id, refused("REVERSED")]));
		const rows = heard.flatMap(({ order, answer }) => (answer.status === "closed" ? [] : [toRow(order, answer)]));
		if (rows.length === 0) return outcomes;
		const standing = await db.query<Standing & { order_id: string }>(RECORD, [...columns(rows, RECORDED), tracesOf(rows)]);
		wakeRelay();
		const byOrder = new Map(standing.map((row) => [row.order_id, row]));
		for (const { order_id } of rows) outcomes.set(order_id, chargeOutcome(byOrder.get(order_id)));
		return outcomes;
	}

	function toRow({ order_id, user_id, amount, currency, traceparent }: Order, answer: Known) {
		const id = uuid();
		const common = { id, order_id, user_id, amount, currency, traceparent };
		if (answer.status === "declined") {
			const { reason } = answer;
			const event = fact("payment.declined", { order_id, reason });
			return { ...common, status: next("none", "decline"), decline_reason: reason, type: "payment.declined", event };
		}
		const event = fact("payment.captured", { order_id, payment_id: id, amount, currency });
		return { ...common, status: next("none", "capture"), decline_reason: null, type: "payment.captured", event };
	}

	return {
		/** One outcome for each order; `pending` where the provider did not answer promptly. */
		async charge(orders: readonly Order[]): Promise<Outcome[]> {
			const wanted = [...new Map(orders.map((order) => [order.order_id, order])).values()];
			const asked = wanted.filter(({ order_id }) => flights.has(order_id));
			const fresh = wanted.filter(({ order_id }) => !flights.has(order_id)).slice(0, Math.max(0, MOST - flights.size));
			const launched = launch(fresh);
			// The answer of one that is under way may have been lost on its way, so what became of it is looked up.
			const heard = await promptly([...launched, ...provider.lookup(asked.map(({ order_id }) => order_id))], patience);
			const answered = [...fresh, ...asked].flatMap((order, i) => {
				const result = heard[i];
				if (!result && launched[i]) follow(order, launched[i]);
				if (result?.status === "rejected") unanswered(order.order_id, result.reason);
				return result?.status === "fulfilled" && result.value ? [{ order, answer: result.value }] : [];
			});
			const outcomes = await record(answered);
			return orders.map(({ order_id }) => outcomes.get(order_id) ?? pending);
		},

		/**
		 * One outcome for each order; `pending` where the provider has not confirmed it yet.
		 * @param traces of the orders that have one
		 */
		async reverse(orderIds: readonly string[], traces: ReadonlyMap<string, string | undefined> = new Map()): Promise<Outcome[]> {
			const wanted = [...new Set(orderIds)];
			const standing = await db.query<Reversing>(BEGIN_REVERSAL, [wanted.map(() => uuid()), wanted, next("none", "reverse")]);
			const open = standing.filter(({ reversal }) => reversal === "begun");
			// Closing the key pays back all that is left, so what was promised in part comes before it.
			const unsettled = new Set((await refunds.settleOf(open.map(({ id }) => id))).map(({ payment_id }) => payment_id));
			const ready = open.filter(({ id }) => !unsettled.has(id));
			const heard = await promptly(provider.cancel(ready.map(({ order_id }) => order_id)), patience);
			const closed = ready.flatMap((payment, i) => {
				const result = heard[i];
				if (result?.status === "rejected") unanswered(payment.order_id, result.reason);
				return result?.status === "fulfilled" ? [closing(payment, result.value)] : [];
			});
			const told = tracesOf(closed.map(({ order_id }) => ({ traceparent: traces.get(order_id) })));
			if (closed.length > 0) await db.query(END_REVERSAL, [...columns(closed, CLOSED), told]);
			wakeRelay();
			const rest = new Set(open.map(({ order_id }) => order_id));
			for (const { order_id } of closed) rest.delete(order_id);
			return orderIds.map((order_id) => (rest.has(order_id) ? pending : done));
		},
	};

	function closing({ id, order_id, status, currency }: Reversing, amount: number) {
		const to = next(status, "reverse");
		// What was charged but never on record nobody was told of, so nobody is told that it was paid back either.
		const known = to !== status;
		const event = known ? fact("payment.refunded", { order_id, payment_id: id, amount, currency }) : null;
		return { id, order_id, status: to, paid_back: known ? amount : 0, event, refund_id: uuid() };
	}
}

/** The parameters of RECORD and of END_REVERSAL, in their order, but for the traces, which come last. */
const RECORDED = ["id", "order_id", "user_id", "amount", "currency", "status", "decline_reason", "type", "event"] as const;
const CLOSED = ["id", "status", "paid_back", "event", "refund_id"] as const;
const columns = <K extends string>(rows: readonly Record<K, unknown>[], fields: readonly K[]) =>
	fields.map((field) => rows.map((row) => row[field]));
