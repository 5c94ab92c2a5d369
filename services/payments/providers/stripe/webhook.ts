import Stripe from "stripe";
import { throwError } from "../../../../lib/contracts/contract.ts";
import { commonError } from "../../../../lib/contracts/errors.ts";
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
	function assertSigned(body: Buffer, signature: string): void {
		for (const secret of secrets) {
			try {
				return void sdk.webhooks.signature!.verifyHeader(body, signature, secret);
			} catch (error) {
				if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw error;
			}
		}
		throwError(payments, "INVALID_SIGNATURE");
	}

	/**
	 * Adds the orders of events, by their intents. An intent is stored before it is confirmed, so the
	 * intent of an event that matters is always found.
	 */
	async function withKeys(events: readonly Stripe.Event[]): Promise<WebhookEvent[]> {
		const intentIds = events.map(({ data }) => intentIdOf(data.object as EventObject));
		const wanted = new Set(intentIds.filter((id) => id !== undefined));
		const rows =
			wanted.size > 0
				? await db.query<{ key: string; intent_id: string }>(FIND_BY_INTENTS, [[...wanted]])
				: [];
		const keys = new Map(rows.map(({ key, intent_id }) => [intent_id, key]));
		return events.map(({ id, type }, i) => ({ id, type, key: keys.get(intentIds[i]!) ?? null }));
	}

	return {
		/** @throws INVALID_SIGNATURE, MALFORMED_BODY */
		async verifyWebhook(body: Buffer, headers: Headers): Promise<WebhookEvent> {
			assertSigned(body, headers["stripe-signature"] ?? "");
			const [event] = await withKeys([parseEvent(body)]);
			return event!;
		},
		/** At most {@link MAX_RECENT} events, newest first. */
		async recentEvents(): Promise<WebhookEvent[]> {
			const gte = Math.floor(Date.now() / 1000) - RECENT_SECONDS;
			const events = await sdk.events
				.list({ types: RARE_EVENTS, created: { gte }, limit: 100 })
				.autoPagingToArray({ limit: MAX_RECENT });
			return withKeys(events);
		},
	};
}

/**
 * Parses a signed body. Stripe also signs notifications without the data of their object, which a
 * webhook endpoint receives only if it is configured for them.
 * @throws MALFORMED_BODY
 */
function parseEvent(body: Buffer): Stripe.Event {
	const event = parseJson(body.toString("utf8"));
	const { id, type, data } = (event ?? {}) as Partial<Stripe.Event>;
	const object: unknown = data?.object;
	const hasObject = typeof object === "object" && object !== null;
	if (typeof id === "string" && typeof type === "string" && hasObject) return event as Stripe.Event;
	throw commonError("MALFORMED_BODY", undefined, "The body is not an event with its object");
}
function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		throw commonError("MALFORMED_BODY");
	}
}

function intentIdOf({ object, id, payment_intent }: EventObject): string | undefined {
	if (object === "payment_intent") return id;
	return typeof payment_intent === "object" ? payment_intent?.id : payment_intent;
}
