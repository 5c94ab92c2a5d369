import type Stripe from "stripe";
import { toStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type { Database, Statement } from "../../../../lib/persistence/database.ts";
import type { ProviderResult } from "../provider.ts";
import { createOnce } from "./attempts.ts";
import { isDecline, isRejected, isStored } from "./errors.ts";
import { confirmationOf } from "./payment-methods.ts";
import { endOf, resultOf } from "./record.ts";
import { DECLINE, FIND, type IntentRow, STORE_INTENT } from "./statements.ts";

/** Statuses of intents that can be canceled. */
const CANCELABLE: readonly string[] = [
	"requires_payment_method",
	"requires_confirmation",
	"requires_action",
	"requires_capture",
];
/** Objects that are included in intents. */
const EXPANDED = { expand: ["payment_method", "latest_charge"] };
/** Metadata by which the intent of an order is found. */
export const ORDER_KEY = "order_id";
/** Tolerated difference between the clocks of Stripe and of the database. */
const CLOCK_SKEW_SECONDS = 60;
/** Period after the creation of a row in which its intent was created, if it was. */
const CREATION_SECONDS = 900;
const MAX_LISTED = 1000;

/** A payment with its PaymentIntent. */
export interface Payment {
	readonly row: IntentRow;
	readonly intent: Stripe.PaymentIntent;
}
interface IntentsOptions {
	readonly db: Database;
	readonly sdk: Stripe;
	/** Page to which a buyer returns from a bank. */
	readonly returnUrl: string;
}

/**
 * Moves PaymentIntents forward. An intent is created unconfirmed, and only the one whose ID is stored
 * is confirmed; an intent that is lost before that can move no money. From then on the status of the
 * intent prevents repeated effects, in addition to idempotency keys.
 */
export function createIntents({ db, sdk, returnUrl }: IntentsOptions) {
	const once = createOnce(db);
	const write = async (statement: Statement, ...values: unknown[]): Promise<IntentRow> =>
		(await db.query<IntentRow>(statement, values))[0]!;
	const retrieve = (id: string) => sdk.paymentIntents.retrieve(id, EXPANDED);

	/**
	 * Creates or continues a payment, and captures it if its row requests that.
	 * @throws for an inconclusive response
	 */
	async function advance(row: IntentRow): Promise<ProviderResult> {
		const payment = await open(row);
		if ("status" in payment) return payment;
		const confirmed = await confirm(await close(payment));
		const isCaptureRequested = confirmed.row.capture_key === row.key;
		const { row: last, intent } = isCaptureRequested
			? await capture(confirmed, row.amount!)
			: confirmed;
		// Another process may have declined the payment after the row was read.
		const isCanceled = intent.status === "canceled" && last.decline_reason === null;
		const result = resultOf(isCanceled ? await write(FIND, [row.key]) : last, intent);
		if (!result) throw new Error(`The PaymentIntent ${intent.id} is not confirmed`);
		return result;
	}

	/** Retrieves or creates the intent of a payment; the result if the payment has none. */
	async function open(row: IntentRow): Promise<Payment | ProviderResult> {
		if (row.intent_id) return { row, intent: await retrieve(row.intent_id) };
		if (row.closed || row.decline_reason) return endOf(row);
		const units = toStripeUnits(row.amount!, row.currency!);
		if (units === undefined)
			return endOf(await decline(row, "Stripe cannot charge exactly this amount"));
		try {
			const created = (row.is_stale && (await find(row))) || (await create(row, units));
			const stored = await write(STORE_INTENT, row.key, created.id);
			const isFirst = stored.intent_id === created.id;
			return { row: stored, intent: isFirst ? created : await retrieve(stored.intent_id!) };
		} catch (error) {
			if (!isDecline(error)) throw error;
			return endOf(await decline(row, error.message, error.code));
		}
	}

	const create = (row: IntentRow, amount: number): Promise<Stripe.PaymentIntent> =>
		once(
			`order:${row.key}:create`,
			(options) =>
				sdk.paymentIntents.create(
					{
						amount,
						currency: row.currency!.toLowerCase(),
						payment_method: row.payment_method!,
						metadata: { [ORDER_KEY]: row.key },
						...EXPANDED,
					},
					options,
				),
			() => find(row),
		);

	/** Finds the intent of an order by its metadata. The search does not contain new intents yet. */
	async function find({ key, created_at }: IntentRow): Promise<Stripe.PaymentIntent | null> {
		const query = `metadata["${ORDER_KEY}"]:"${key}"`;
		const { data } = await sdk.paymentIntents.search({ query, limit: 1 });
		if (data[0]) return retrieve(data[0].id);
		const begun = Math.floor(Date.parse(created_at) / 1000);
		const created = { gte: begun - CLOCK_SKEW_SECONDS, lte: begun + CREATION_SECONDS };
		const listed = await sdk.paymentIntents
			.list({ created, limit: 100 })
			.autoPagingToArray({ limit: MAX_LISTED });
		const found = listed.find(({ metadata }) => metadata[ORDER_KEY] === key);
		return found ? retrieve(found.id) : null;
	}

	/** Cancels the intent of a payment that was voided or declined, so that nobody can pay it later. */
	async function close({ row, intent }: Payment): Promise<Payment> {
		const failure = intent.status === "requires_payment_method" && intent.last_payment_error;
		const closed = failure
			? await decline(row, failure.message ?? failure.type, failure.decline_code ?? failure.code)
			: row;
		const isOver = closed.closed || closed.decline_reason !== null;
		if (!isOver || !CANCELABLE.includes(intent.status)) return { row: closed, intent };
		return { row: closed, intent: await cancel(intent.id) };
	}

	const decline = (row: IntentRow, reason: string, code?: string): Promise<IntentRow> =>
		write(DECLINE, row.key, reason, code ?? null);

	/** Cancels an intent. @returns the intent, which is not canceled if its money has moved */
	async function cancel(id: string): Promise<Stripe.PaymentIntent> {
		try {
			return await sdk.paymentIntents.cancel(id, EXPANDED);
		} catch (error) {
			return retrieveAfter(error, id, CANCELABLE);
		}
	}

	/** Retrieves an intent after a failed request. @throws the error if the status is one of `before` */
	async function retrieveAfter(
		error: unknown,
		id: string,
		before: readonly string[],
	): Promise<Stripe.PaymentIntent> {
		if (!isRejected(error) && !isStored(error)) throw error;
		const intent = await retrieve(id);
		if (before.includes(intent.status)) throw error;
		return intent;
	}
	const retrieveUnless = async (id: string, before: string) => {
		const intent = await retrieve(id);
		return intent.status === before ? null : intent;
	};

	async function confirm({ row, intent }: Payment): Promise<Payment> {
		const before = "requires_confirmation";
		if (intent.status !== before) return { row, intent };
		try {
			const confirmed = await once(
				`order:${row.key}:confirm`,
				(options) =>
					sdk.paymentIntents.confirm(
						intent.id,
						{ ...confirmationOf(intent), return_url: returnUrl, ...EXPANDED },
						options,
					),
				() => retrieveUnless(intent.id, before),
			);
			return close({ row, intent: confirmed });
		} catch (error) {
			const isRefused = isDecline(error);
			const current = await retrieveAfter(error, intent.id, isRefused ? [] : [before]);
			const { message, code } = error as Stripe.errors.StripeError;
			const declined =
				isRefused && current.status === before ? await decline(row, message, code) : row;
			return close({ row: declined, intent: current });
		}
	}

	/** Captures an intent that requires it. The row contains the idempotency key of its only capture. */
	async function capture({ row, intent }: Payment, amount: number): Promise<Payment> {
		const before = "requires_capture";
		if (intent.status !== before) return { row, intent };
		try {
			const captured = await once(
				`order:${row.key}:capture`,
				(options) =>
					sdk.paymentIntents.capture(
						intent.id,
						{ amount_to_capture: toStripeUnits(amount, row.currency!)!, ...EXPANDED },
						options,
					),
				() => retrieveUnless(intent.id, before),
			);
			return { row, intent: captured };
		} catch (error) {
			return { row, intent: await retrieveAfter(error, intent.id, [before]) };
		}
	}

	return { advance, retrieve, close, cancel, capture };
}
export type Intents = ReturnType<typeof createIntents>;
