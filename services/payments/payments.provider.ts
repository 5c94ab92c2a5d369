export interface ChargeRequest {
	/** Idempotency key: there is one charge under a key, ever. */
	readonly key: string;
	readonly amount: number;
	readonly currency: string;
	/** Names the payer's card. */
	readonly token: string;
}
/** `closed`: the key was cancelled; whatever was charged under it is paid back. */
export type ChargeAnswer =
	| { readonly status: "captured" }
	| { readonly status: "declined"; readonly reason: string }
	| { readonly status: "closed" };

export interface RefundRequest {
	/** Idempotency key of the refund. */
	readonly key: string;
	readonly charge_key: string;
	readonly amount: number;
}

export interface BookRange {
	readonly after: string;
	/** To the end when null. */
	readonly upto: string | null;
	readonly limit: number;
}
export interface Booking {
	readonly key: string;
	readonly charged: number;
	readonly refunded: number;
}

/**
 * Who moves the money. One call takes many, and each has an answer of its own in its own time, so a slow one holds nobody back. An answer
 * that rejects, or never comes, says nothing about whether the money moved: ask again under the same key.
 */
export interface PaymentProvider {
	/** A key that was charged before gives the answer that it gave then, whatever else the request says. */
	charge(requests: readonly ChargeRequest[]): Promise<ChargeAnswer>[];
	/** Pays back a part of a charge. Rejects if that much is not left. */
	refund(requests: readonly RefundRequest[]): Promise<void>[];
	/** Closes keys for good: pays back all that is left of their charges, and refuses a charge that comes later. Answers how much it paid back, again the same when asked again. */
	cancel(keys: readonly string[]): Promise<number>[];
	/** Its books: what was charged under the keys behind `after`, up to and with `upto`, and paid back of that, in the order of the keys. */
	books(range: BookRange): Promise<Booking[]>;
	/** What became of a key, null if nothing did. */
	lookup(keys: readonly string[]): Promise<ChargeAnswer | null>[];
}
