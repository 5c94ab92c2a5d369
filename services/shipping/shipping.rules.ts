import { createHash } from "node:crypto";
import type { Value } from "../../lib/contracts/schema.ts";
import type { shipment } from "./shipping.contract.ts";

export type Status = Value<typeof shipment.status>;

/** Whether the carrier has had the parcel, whatever became of it. */
export const hasLeft = (status: Status): boolean =>
	status !== "scheduled" && status !== "cancelled";

/** The simulated carrier goes everywhere but to addresses that say they are undeliverable. */
export const isDeliverable = (address: string | null): boolean =>
	!/undeliverable/i.test(address ?? "");

/** The same for the same shipment, whoever computes it and however often. */
export const trackingNumber = (shipmentId: string): string =>
	`MC${createHash("sha256").update(shipmentId).digest("hex").slice(0, 12).toUpperCase()}`;
