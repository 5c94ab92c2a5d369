import type Stripe from "stripe";
import { toStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type { ProviderResult } from "../provider.ts";
import type { Once } from "./attempts.ts";
import { createCreation, EXPANDED, type Payment } from "./creation.ts";
import { isDecline, isRejected, isStored } from "./errors.ts";
import { confirmationOf } from "./payment-methods.ts";
import { endOf, resultOf } from "./record.ts";
import type { Rows } from "./rows.ts";
import type { IntentRow } from "./statements.ts";

/** Statuses of intents that can be canceled. */
const CANCELABLE: readonly string[] = [
	"requires_payment_method",
	"requires_confirmation",
	"requires_action",
	"requires_capture",
];

interface IntentsOptions {
	readonly rows: Rows;
	readonly sdk: Stripe;
	readonly once: Once;
	/** Page to which a buyer returns from a bank. */
	readonly returnUrl: string;
}

/**
 * Moves PaymentIntents forward. Only the intent whose ID is stored is confirmed. From then on, its
 * status prevents repeated effects, in addition to the idempotency keys.
 */
export function createIntents({ rows, sdk, once, returnUrl }: IntentsOptions) {
	const { open, retrieve } = createCreation({ rows, sdk, once });

	/**
	 * Creates or continues a payment, and captures it if its row requests that.
	 * @throws for an inconclusive response
	 */
	async function advance(begun: IntentRow): Promise<ProviderResult> {
		const { row: opened, intent: found } = await open(begun);
		if (!found) return endOf(opened);
		const confirmed = await confirm(await close({ row: opened, intent: found }));
		const isCaptureRequested = confirmed.row.capture_key === begun.key;
		const { row, intent } = isCaptureRequested
			? await capture(confirmed, begun.amount!)
			: confirmed;
		const result = resultOf(row, intent);
		if (!result) throw new Error(`The PaymentIntent ${intent.id} is not confirmed`);
		return result;
	}

	/** Cancels the intent of a voided or declined payment, so that it cannot be paid later. */
	async function close({ row, intent }: Payment): Promise<Payment> {
		const failure = intent.status === "requires_payment_method" ? intent.last_payment_error : null;
		const { message, type, decline_code, code } = failure ?? {};
		const ended = failure
			? await rows.decline(row.key, message ?? type!, decline_code ?? code)
			: row;
		const isOver = ended.closed || ended.decline_reason !== null;
		const isOpen = CANCELABLE.includes(intent.status);
		const current = isOver && isOpen ? await cancel(intent.id) : intent;
		// Another process may have declined the payment after its row was read.
		const isCanceled = current.status === "canceled";
		return { row: isCanceled ? (await rows.find(row.key))! : ended, intent: current };
	}

	/** Cancels an intent. @returns the intent, which is not canceled if its money has moved */
	async function cancel(id: string): Promise<Stripe.PaymentIntent> {
		try {
			return await sdk.paymentIntents.cancel(id, EXPANDED);
		} catch (error) {
			return retrieveAfter(error, id, CANCELABLE);
		}
	}

	/** Retrieves an intent after a failed request. @throws the error if its status is in `before` */
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
	/** Retrieves an intent; null if it still has the status. */
	async function retrieveChanged(id: string, before: string) {
		const intent = await retrieve(id);
		return intent.status === before ? null : intent;
	}

	async function confirm({ row, intent }: Payment): Promise<Payment> {
		const { id, status: before } = intent;
		if (before !== "requires_confirmation") return { row, intent };
		const params = { ...confirmationOf(intent), return_url: returnUrl, ...EXPANDED };
		try {
			const confirmed = await once(
				`order:${row.key}:confirm`,
				(options) => sdk.paymentIntents.confirm(id, params, options),
				() => retrieveChanged(id, before),
			);
			return await close({ row, intent: confirmed });
		} catch (error) {
			if (!isDecline(error))
				return close({ row, intent: await retrieveAfter(error, id, [before]) });
			const current = await retrieve(id);
			const isRefused = current.status === before;
			const refused = isRefused ? await rows.decline(row.key, error.message, error.code) : row;
			return close({ row: refused, intent: current });
		}
	}

	/** Captures an intent that requires it. Its row has the idempotency key of its only capture. */
	async function capture({ row, intent }: Payment, amount: number): Promise<Payment> {
		const { id, status: before } = intent;
		if (before !== "requires_capture") return { row, intent };
		const amount_to_capture = toStripeUnits(amount, row.currency!)!;
		try {
			const captured = await once(
				`order:${row.key}:capture`,
				(options) => sdk.paymentIntents.capture(id, { amount_to_capture, ...EXPANDED }, options),
				() => retrieveChanged(id, before),
			);
			return { row, intent: captured };
		} catch (error) {
			return close({ row, intent: await retrieveAfter(error, id, [before]) });
		}
	}

	return { advance, retrieve, close, cancel, capture };
}
