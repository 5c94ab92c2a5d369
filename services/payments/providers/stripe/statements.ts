import { sql } from "../../../../lib/persistence/database.ts";

/** A payment. Its PaymentIntent has the same amount, currency and payment method. */
export interface IntentRow {
	/** The order ID. */
	readonly key: string;
	/** Null until the PaymentIntent exists. */
	readonly intent_id: string | null;
	/** In major units; null for a tombstone, as are currency and payment method. */
	readonly amount: number | null;
	readonly currency: string | null;
	readonly payment_method: string | null;
	/** Idempotency key of the capture; null if none was requested. */
	readonly capture_key: string | null;
	/** Whether the payment was voided; its PaymentIntent may not be canceled yet. */
	readonly closed: boolean;
	/** Null unless the payment was declined; its PaymentIntent may not be canceled yet. */
	readonly decline_reason: string | null;
	readonly decline_code: string | null;
	readonly created_at: string;
	/** Whether Stripe may have forgotten idempotency keys of the payment. */
	readonly is_stale: boolean;
}

/** Half of the time for which Stripe stores idempotency keys at least. */
const KEY_LIFETIME = "interval '12 hours'";
const ROW = `key, intent_id, amount, currency, payment_method, capture_key, closed, decline_reason,
	decline_code, created_at, created_at < now() - ${KEY_LIFETIME} as is_stale`;

/** Inserts missing payments, and claims the capture of those that request one. */
export const BEGIN = sql(
	"stripe_begin",
	`insert into stripe_intents as i (key, amount, currency, payment_method, capture_key)
	select key, amount, currency, payment_method, capture_key
	from unnest($1::text[], $2::numeric[], $3::text[], $4::text[], $5::text[])
		as w (key, amount, currency, payment_method, capture_key) order by key
	on conflict (key) do update set capture_key = coalesce(i.capture_key, excluded.capture_key)
	returning ${ROW}`,
);
/** Marks payments as voided, and inserts tombstones for unknown keys. */
export const CLOSE = sql(
	"stripe_close",
	`insert into stripe_intents (key, closed) select key, true
	from unnest($1::text[]) as w (key) order by key
	on conflict (key) do update set closed = true returning ${ROW}`,
);
/** Stores the PaymentIntent of a payment; the first one stored remains. */
export const STORE_INTENT = sql(
	"stripe_store_intent",
	`update stripe_intents set intent_id = coalesce(intent_id, $2) where key = $1 returning ${ROW}`,
);
/** Stores the reason why a payment was declined; the first one stored remains. */
export const DECLINE = sql(
	"stripe_decline",
	`update stripe_intents set
		decline_code = case when decline_reason is null then $3 else decline_code end,
		decline_reason = coalesce(decline_reason, $2)
	where key = $1 returning ${ROW}`,
);
/** Reserves the capture for an idempotency key; the first one stored remains. */
export const CLAIM_CAPTURE = sql(
	"stripe_claim_capture",
	`update stripe_intents set capture_key = coalesce(capture_key, $2) where key = $1
	returning ${ROW}`,
);
export const FIND = sql(
	"stripe_find",
	`select ${ROW} from stripe_intents where key = any($1::text[])`,
);
export const FIND_BY_INTENTS = sql(
	"stripe_find_by_intents",
	"select key, intent_id from stripe_intents where intent_id = any($1::text[])",
);
/** Keys are UUIDs in lower case, which every collation sorts alike. */
export const PAGE = sql(
	"stripe_page",
	`select ${ROW} from stripe_intents where key > $1 and ($2::text is null or key <= $2)
	order by key limit $3`,
);

/** Records that attempt `$2` of a request ended with a stored error, and returns the next one. */
export const NEXT_ATTEMPT = sql(
	"stripe_next_attempt",
	`insert into stripe_attempts as a (name, attempt) values ($1, $2::int + 1)
	on conflict (name) do update set attempt = greatest(a.attempt, excluded.attempt)
	returning attempt`,
);
