export interface AuthorizeRequest {
	/** Idempotency key, and the name of the authorisation from then on: there is one under a key, ever. */
	readonly key: string;
	readonly amount: number;
	readonly currency: string;
	/** Names the payer's card. */
	readonly token: string;
	/** Captures all of it in the same request, under the same key. */
	readonly capture: boolean;
}
/** What has become of an authorisation. `closed`: it was voided, or its key was before it came. */
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
	readonly after: string;
	/** To the end when null. */
	readonly upto: string | null;
	readonly limit: number;
}
export interface LedgerEntry {
	readonly key: string;
	/** Set aside, and neither captured nor voided. */
	readonly authorized: number;
	readonly charged: number;
	readonly refunded: number;
}

/**
 * Who moves the money. One call takes many, and each has an answer of its own in its own time, so a slow one holds nobody back. An answer
 * that rejects, or never comes, says nothing about whether the money moved: ask again under the same key. Providers forget idempotency keys
 * after about 24 hours; after that, look the object up before the request is repeated.
 */
export interface PaymentProvider {
	/**
	 * Sets money aside. The same request again gives the answer of where its authorisation stands now; where that had broken off before the
	 * capture that it asks for, it goes on.
	 */
	authorize(requests: readonly AuthorizeRequest[]): Promise<ProviderResult>[];
	/** Takes what was set aside, once. Rejects if it was captured under another key, if it is not that much, or if it is unknown. */
	capture(requests: readonly CaptureRequest[]): Promise<ProviderResult>[];
	/** Lets go of what was set aside, and refuses an authorisation that comes later. What is captured, or was declined, stays as it is. */
	void(requests: readonly VoidRequest[]): Promise<ProviderResult>[];
	/** Pays back a part of what was captured. Rejects if that much is not left. */
	refund(requests: readonly RefundRequest[]): Promise<void>[];
	/** Looks up refunds by their idempotency keys, however old; null if the provider has no refund under the key. */
	findRefunds(
		requests: readonly Pick<RefundRequest, "key" | "authorization">[],
	): Promise<PaidRefund | null>[];
	/** What has become of a key, null if nothing was asked under it. */
	lookup(keys: readonly string[]): Promise<ProviderResult | null>[];
	/** Its books: what stands under the keys behind `after`, up to and with `upto`, in the order of the keys. */
	ledgerEntries(range: LedgerRange): Promise<LedgerEntry[]>;
}
