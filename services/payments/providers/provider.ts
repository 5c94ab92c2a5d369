export interface AuthorizeRequest {
	/** Idempotency key, and from then on the ID of the authorization: a key has at most one. */
	readonly key: string;
	readonly amount: number;
	readonly currency: string;
	/** Token of the payer's card. */
	readonly token: string;
	/** Whether to capture the whole amount in the same request, under the same key. */
	readonly capture: boolean;
}
/** Status of an authorization. `closed`: it was voided, or its key was voided before it arrived. */
export type ProviderResult =
	| { readonly status: "authorized" }
	| { readonly status: "captured"; readonly amount: number }
	| { readonly status: "declined"; readonly reason: string }
	| { readonly status: "closed" };

export interface CaptureRequest {
	/** Idempotency key of the capture. */
	readonly key: string;
	readonly authorization: string;
	readonly amount: number;
}
export interface VoidRequest {
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

/** A refund that the provider has paid. */
export interface PaidRefund {
	readonly amount: number;
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
	readonly refunded: number;
}

/**
 * A payment provider. Each method takes a batch and returns one promise per request, so that a slow
 * request does not delay the others.
 *
 * A promise that rejects or never settles is inconclusive: the money may or may not have moved, and
 * the request is repeated under the same key. Providers forget idempotency keys after about 24
 * hours; after that, look the object up before the request is repeated.
 */
export interface PaymentProvider {
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
	 * Voids authorizations, and rejects an authorization that arrives later. Returns the status of a
	 * captured or declined one unchanged.
	 */
	void(requests: readonly VoidRequest[]): Promise<ProviderResult>[];
	/** Refunds a part of a capture. Rejects if the amount exceeds the rest. */
	refund(requests: readonly RefundRequest[]): Promise<void>[];
	/**
	 * Looks up refunds of any age by their idempotency keys; null if the provider has no refund
	 * under the key.
	 */
	findRefunds(
		requests: readonly Pick<RefundRequest, "key" | "authorization">[],
	): Promise<PaidRefund | null>[];
	/** Looks up authorizations by their keys; null if the key is unknown. */
	lookup(keys: readonly string[]): Promise<ProviderResult | null>[];
	/** One page of the provider's ledger, in order of keys. */
	ledgerEntries(range: LedgerRange): Promise<LedgerEntry[]>;
}
