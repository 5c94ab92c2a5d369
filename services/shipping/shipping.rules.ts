import { createHash } from "node:crypto";
import type { Value } from "../../lib/contracts/schema.ts";
import type { shipment } from "./shipping.contract.ts";

export type Status = Value<typeof shipment.status>;

/** Whether the parcel was handed to the carrier, whatever happened afterwards. */
export const hasLeft = (status: Status): boolean =>
	status !== "scheduled" && status !== "cancelled";

/** The simulated carrier delivers to every address that does not contain "undeliverable". */
export const isDeliverable = (address: string | null): boolean =>
	!/undeliverable/i.test(address ?? "");

/** Derives the tracking number from the shipment ID, so repeated attempts yield the same one. */
export const trackingNumber = (shipmentId: string): string =>
	`MC${createHash("sha256").update(shipmentId).digest("hex").slice(0, 12).toUpperCase()}`;
