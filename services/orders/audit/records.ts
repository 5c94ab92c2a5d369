import type { EventType } from "../../../lib/contracts/contract.ts";
import type { StoredLine, StoredPrices } from "../orders.prices.rules.ts";
import type { Status } from "../orders.rules.ts";

type AuditedLine = Pick<
	StoredLine,
	"product_id" | "quantity" | "line_total" | "discount" | "tax" | "total"
>;
/** An order as its own database contains it. */
export interface AuditedOrder {
	readonly id: string;
	/** Null for a guest. */
	readonly user_id: string | null;
	readonly email: string | null;
	readonly status: Status;
	readonly total_amount: number;
	readonly currency: string;
	readonly items: readonly AuditedLine[];
	readonly priced: StoredPrices | null;
	/** Sum of the refunds of lines that payments has accepted. */
	readonly refunded: number;
	readonly saga_state: "forward" | "waiting" | "backward" | "stuck" | null;
	/** Null if some events may have exceeded the retention. */
	readonly events: readonly { readonly id: string; readonly type: EventType }[] | null;
}
/** The records of all services about one order; undefined if there is none. */
export interface OrderRecords {
	readonly order?: AuditedOrder | undefined;
	readonly reservation?:
		| {
				status: "held" | "released" | "fulfilled";
				/** Set until the order is known to be confirmed. */
				expires_at?: string | null;
				items: { product_id: string; quantity: number }[];
		  }
		| undefined;
	readonly payment?:
		| {
				status: string;
				amount: number;
				refunded_amount: number;
				unsettled: number;
				/** Refunds that failed and whose amount was not refunded otherwise. */
				failed_refunds?: number;
		  }
		| undefined;
	/** Record of the payment provider. */
	readonly charge?: { authorized: number; charged: number; refunded: number } | undefined;
	readonly shipment?: { status: string } | undefined;
	readonly redemption?:
		| {
				status: "redeemed" | "released";
				uses: readonly { promotion_id: string; amount: number }[];
		  }
		| undefined;
	/** `user_id` is null for a message to a guest. */
	readonly messages: readonly { event_id: string; user_id: string | null; template: string }[];
}
export interface Violation {
	readonly invariant: string;
	/** ID of the order or product, or key of the charge. */
	readonly subject: string;
	readonly detail: string;
}
export type Finding = readonly [invariant: string, detail: string];
