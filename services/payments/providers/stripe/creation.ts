import type Stripe from "stripe";
import { toStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type { Once } from "./attempts.ts";
import { isDecline } from "./errors.ts";
import type { Rows } from "./rows.ts";
import type { IntentRow } from "./statements.ts";

/** Objects that are included in intents. */
export const EXPANDED = { expand: ["payment_method", "latest_charge"] };
/** Metadata by which the intent and the refunds of an order are found. */
export const ORDER_KEY = "order_id";
/** Tolerated difference between the clocks of Stripe and of the database. */
const CLOCK_SKEW_SECONDS = 60;
/** Period after the creation of a row in which its intent was created, if it was. */
const CREATION_SECONDS = 900;
const MAX_LISTED = 1000;

/** A payment with its PaymentIntent; null if it was voided or declined before it had one. */
export interface Payment<Intent = Stripe.PaymentIntent> {
	readonly row: IntentRow;
	readonly intent: Intent;
}
interface CreationOptions {
	readonly rows: Rows;
	readonly sdk: Stripe;
	readonly once: Once;
}

/** Creates PaymentIntents, unconfirmed, so that one that is lost moves no money. */
export function createCreation({ rows, sdk, once }: CreationOptions) {
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

	const retrieve = (id: string) => sdk.paymentIntents.retrieve(id, EXPANDED);

	/** Stores the ID of an intent. Another process may have stored the one that counts. */
	async function store(
		{ key }: IntentRow,
		created: Stripe.PaymentIntent,
	): Promise<Payment<Stripe.PaymentIntent>> {
		const row = await rows.storeIntent(key, created.id);
		const isFirst = row.intent_id === created.id;
		return { row, intent: isFirst ? created : await retrieve(row.intent_id!) };
	}

	return {
		retrieve,
		/** Retrieves the intent of a payment, or creates it. */
		async open(row: IntentRow): Promise<Payment<Stripe.PaymentIntent | null>> {
			if (row.intent_id) return { row, intent: await retrieve(row.intent_id) };
			if (row.closed || row.decline_reason) return { row, intent: null };
			const refuse = async (reason: string, code?: string) => ({
				row: await rows.decline(row.key, reason, code),
				intent: null,
			});
			const units = toStripeUnits(row.amount!, row.currency!);
			if (units === undefined) return refuse("Stripe cannot charge exactly this amount");
			try {
				// Stripe may have forgotten the key, so that repeating the request creates a second intent.
				const earlier = row.is_stale ? await find(row) : null;
				return await store(row, earlier ?? (await create(row, units)));
			} catch (error) {
				if (isDecline(error)) return refuse(error.message, error.code);
				throw error;
			}
		},
	};
}
