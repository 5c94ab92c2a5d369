import type { Logger } from "moleculer";
import type { SettleLimits } from "../../../lib/async/settle-within.ts";
import type { Database } from "../../../lib/persistence/database.ts";
import type { Env } from "../../../lib/settings/env.ts";

/** External objects that a provider may use. */
export interface ProviderDependencies {
	/** A provider owns the tables with its own prefix. */
	readonly db: Database;
	readonly env: Env;
	readonly logger: Pick<Logger, "info" | "warn">;
}

export interface AuthorizeRequest {
	/** Idempotency key, and from then on the ID of the authorization: a key has at most one. */
	readonly key: string;
	readonly amount: number;
	readonly currency: string;
	/** ID of the payment method at the provider, unchanged from the buyer's request. */
	readonly token: string;
	/**
	 * Whether to capture the whole amount in the same request, under the same key. A payment method
	 * without a separate capture is captured in either case.
	 */
	readonly capture: boolean;
}
/** ID of the payment at the provider; absent if it is the key. */
interface Referenced {
	readonly reference?: string;
}
/**
 * Status of a payment at the provider.
 * - `declined`: final for this key.
 * - `requires_action`: the buyer must act, for example confirm the payment with 3-D Secure. The
 *   shop's page passes `client_secret` to the provider's library, or opens `redirect_url`.
 * - `processing`: a bank decides, which may take days; neither captured nor failed yet.
 * - `closed`: voided, or its key was voided before it arrived.
 */
export type ProviderResult = Referenced &
	(
		| { readonly status: "authorized" }
		| { readonly status: "captured"; readonly amount: number }
		| { readonly status: "declined"; readonly reason: string; readonly code?: string }
		| {
				readonly status: "requires_action";
				readonly client_secret: string;
				readonly redirect_url?: string;
		  }
		| { readonly status: "processing" }
		| { readonly status: "closed" }
	);

export interface CaptureRequest {
	/** Idempotency key of the capture. */
	readonly key: string;
	readonly authorization: string;
	readonly amount: number;
}
interface VoidRequest {
	/** Idempotency key of the void. */
	readonly key: string;
	readonly authorization: string;
}
export interface RefundRequest {
	/** Idempotency key of the refund. */
	readonly key: string;
	readonly authorization: string;
	readonly amount: number;
}
/**
 * Status of a refund. `pending`: accepted, but not paid yet. `failed`: not paid, and the amount is
 * refundable again. A refund may also fail after it was pending or succeeded.
 */
export interface RefundResult {
	readonly status: "succeeded" | "pending" | "failed";
	/** ID of the refund at the provider. */
	readonly reference: string;
	/** Reason of a failure. */
	readonly reason?: string;
}
/** A refund that the provider has accepted. */
export interface FoundRefund extends RefundResult {
	readonly amount: number;
}

/** One entry of the provider's record of a payment. Entries are only added, never changed. */
export interface ProviderTransaction {
	/**
	 * `refund_failed`: a refund that was accepted earlier is not paid after all. `dispute`: the
	 * payer's bank took the amount back; `dispute_reversed`: it returned it.
	 */
	readonly type:
		| "authorization"
		| "capture"
		| "void"
		| "refund"
		| "refund_failed"
		| "dispute"
		| "dispute_reversed";
	readonly state: "requested" | "succeeded" | "failed";
	readonly amount: number;
	/**
	 * ID of the object, with `type` and `state` unique in the payment. Of an authorization, capture
	 * and void: the reference of the payment. Of a refund and its failure: the idempotency key of the
	 * refund, or the provider's ID if it was not created through this interface.
	 */
	readonly reference: string;
	readonly reason?: string;
	/** RFC 3339 time. */
	readonly at: string;
}
/** The provider's record of one payment: the current status and all transactions so far. */
export interface ProviderRecord {
	readonly result: ProviderResult;
	readonly transactions: readonly ProviderTransaction[];
}

export interface LedgerRange {
	/** Exclusive. */
	readonly after: string;
	/** Inclusive; null for no limit. */
	readonly upto: string | null;
	readonly limit: number;
}
export interface LedgerEntry {
	readonly key: string;
	/** Amount that is neither captured nor voided. */
	readonly authorized: number;
	readonly charged: number;
	/** Refunds that have not failed. */
	readonly refunded: number;
}

/** A verified notification. It only shows that a payment changed: its record is then looked up. */
export interface WebhookEvent {
	readonly id: string;
	readonly type: string;
	/** Key of the payment concerned; null if the event concerns none. */
	readonly key: string | null;
}
/** Header values of an HTTP request by name in lower case. */
export type Headers = Readonly<Record<string, string | undefined>>;

/** Decision of a test control, see {@link PaymentProvider.simulate}. */
export type Simulation = "succeed" | "fail" | "dispute" | "reverse_dispute";

/**
 * A payment provider. Each method that takes a batch returns one promise per request, so that a
 * slow request does not delay the others. Amounts are in major units; a provider converts them to
 * its own unit.
 *
 * A promise that rejects or never settles is inconclusive: the money may or may not have moved, and
 * the request is repeated under the same key. Providers forget idempotency keys after about 24
 * hours; after that, look the object up before the request is repeated.
 */
export interface PaymentProvider {
	/** Name in the setting PAYMENT_PROVIDER and in the path of its webhooks. */
	readonly name: string;
	/** Time that a batch of requests usually takes; results that arrive later are recorded later. */
	readonly limits: SettleLimits;
	/**
	 * Authorizes amounts. A repeated request returns the current status of its authorization, and
	 * continues with the requested capture if it was interrupted before.
	 */
	authorize(requests: readonly AuthorizeRequest[]): Promise<ProviderResult>[];
	/**
	 * Captures authorizations, once each. Rejects if the authorization was captured under another
	 * key, is smaller than the amount, or does not exist.
	 */
	capture(requests: readonly CaptureRequest[]): Promise<ProviderResult>[];
	/**
	 * Voids authorizations and payments that require an action, and rejects an authorization that
	 * arrives later. Returns the status of a captured, declined or processing payment unchanged.
	 */
	void(requests: readonly VoidRequest[]): Promise<ProviderResult>[];
	/**
	 * Refunds a part of a capture. A repeated request returns the current status of its refund.
	 * Rejects if the amount exceeds the refundable amount.
	 */
	refund(requests: readonly RefundRequest[]): Promise<RefundResult>[];
	/**
	 * Whether a refund can have exactly this amount, which has no more decimals than its currency.
	 * Absent if every such amount is possible.
	 */
	readonly canRefund?: (amount: number, currency: string) => boolean;
	/**
	 * Looks up refunds of any age by their idempotency keys; null if the provider has no refund
	 * under the key.
	 */
	findRefunds(
		requests: readonly Pick<RefundRequest, "key" | "authorization">[],
	): Promise<FoundRefund | null>[];
	/** Looks up the records of payments by their keys; null if the key is unknown. */
	lookup(keys: readonly string[]): Promise<ProviderRecord | null>[];
	/**
	 * One page of the provider's ledger, in order of keys. The last page of a range without an upper
	 * limit also contains payments that have no key, under their ID at the provider.
	 */
	ledgerEntries(range: LedgerRange): Promise<LedgerEntry[]>;
	/**
	 * Verifies the signature of a webhook over the raw body, and only then parses it. Absent if the
	 * provider has no webhooks.
	 * @throws INVALID_SIGNATURE, MALFORMED_BODY
	 */
	readonly verifyWebhook?: (body: Buffer, headers: Headers) => WebhookEvent | Promise<WebhookEvent>;
	/**
	 * Lists events of the last days that no lookup of an open payment would report, such as disputes:
	 * all of their webhooks may be lost. Absent if the provider has no webhooks.
	 */
	readonly recentEvents?: () => Promise<WebhookEvent[]>;
	/**
	 * Decides an open payment or refund of the key, in place of the buyer and the banks. Only a
	 * simulated provider has this method.
	 * @returns whether the key had something to decide
	 */
	readonly simulate?: (key: string, decision: Simulation) => Promise<boolean>;
	readonly close?: () => Promise<void>;
}
