import Stripe from "stripe";
import { throwError } from "../../../../lib/contracts/contract.ts";
import type { Database } from "../../../../lib/persistence/database.ts";
import { payments } from "../../payments.contract.ts";
import type { Headers, WebhookEvent } from "../provider.ts";
import { FIND_BY_INTENTS } from "./statements.ts";

interface WebhooksOptions {
	readonly db: Database;
	readonly sdk: Stripe;
	/** Secrets of the webhook endpoint: during a rotation, the new and the old one. */
	readonly secrets: readonly string[];
}

/** The fields of an intent, charge, refund or dispute that identify the intent. */
interface EventObject {
	readonly object: string;
	readonly id?: string;
	readonly payment_intent?: string | { readonly id: string } | null;
}

/** Events about payments that are not open any more. */
const RARE_EVENTS = [
	"charge.dispute.created",
	"charge.dispute.closed",
	"charge.dispute.funds_withdrawn",
	"charge.dispute.funds_reinstated",
	"refund.failed",
];
/** Stripe repeats webhooks for three days. */
const RECENT_SECONDS = 3 * 86_400;
const MAX_RECENT = 1000;

/** Creates functions that read events, from webhooks and from Stripe's list. */
export function createWebhooks({ db, sdk, secrets }: WebhooksOptions) {
	/** @throws INVALID_SIGNATURE */
	function verify(body: Buffer, signature: string): Stripe.Event {
		for (const secret of secrets) {
			try {
				return sdk.webhooks.constructEvent(body, signature, secret);
			} catch (error) {
				if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw error;
			}
		}
		return throwError(payments, "INVALID_SIGNATURE");
	}

	/**
	 * The order of an event, by its intent. An intent is stored before it is confirmed, so the intent
	 * of an event that matters is always found.
	 */
	async function keyOf(object: EventObject): Promise<string | null> {
		const id = intentIdOf(object);
		const [row] = id ? await db.query<{ key: string }>(FIND_BY_INTENTS, [[id]]) : [];
		return row?.key ?? null;
	}

	const webhookEvent = async ({ id, type, data }: Stripe.Event): Promise<WebhookEvent> => ({
		id,
		type,
		key: await keyOf(data.object as EventObject),
	});

	return {
		/** @throws INVALID_SIGNATURE */
		verifyWebhook: async (body: Buffer, headers: Headers) =>
			webhookEvent(verify(body, headers["stripe-signature"] ?? "")),
		/** At most {@link MAX_RECENT} events, newest first. */
		async recentEvents(): Promise<WebhookEvent[]> {
			const gte = Math.floor(Date.now() / 1000) - RECENT_SECONDS;
			const events = await sdk.events
				.list({ types: RARE_EVENTS, created: { gte }, limit: 100 })
				.autoPagingToArray({ limit: MAX_RECENT });
			return Promise.all(events.map(webhookEvent));
		},
	};
}

function intentIdOf({ object, id, payment_intent }: EventObject): string | undefined {
	if (object === "payment_intent") return id;
	return typeof payment_intent === "object" ? payment_intent?.id : payment_intent;
}
