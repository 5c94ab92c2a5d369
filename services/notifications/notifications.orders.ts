import { type Address, formatAddress, formatPlace } from "../../lib/addresses/address.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { createOrderToken } from "../../lib/security/order-token.ts";
import type { Env } from "../../lib/settings/env.ts";
import type {} from "../orders/orders.contract.ts";
import type { OrderDetails } from "./notifications.order-summary.ts";
import { buildOrderLink } from "./notifications.rules.ts";

/** A message, with null as the user of a guest. */
interface Message {
	readonly user_id: string | null;
	readonly data: object;
}
/** An order as the orders service returns it. */
export interface Order extends Omit<OrderDetails, "shipping_address" | "billing_address"> {
	readonly id: string;
	readonly email: string | null;
	readonly shipping_address: string | Address | null;
	readonly billing_address: Address | null;
}

/** ID of the order that a message is about; undefined for a message about an account. */
export const orderIdOf = ({ data }: Pick<Message, "data">): string | undefined =>
	(data as { order_id?: string }).order_id;

/** Reads the orders of messages; null for a message without one. @throws an outage */
export async function readOrders(
	call: Call,
	messages: readonly Message[],
): Promise<(Order | null)[]> {
	const ids = messages.flatMap((message) => orderIdOf(message) ?? []);
	const found = ids.length > 0 ? await call("orders.summaries", { ids }) : [];
	const orders = new Map(found.flatMap((order) => (order ? [[order.id, order]] : [])));
	return messages.map((message) => orders.get(orderIdOf(message) ?? "") ?? null);
}

/**
 * Link to the order of a guest; undefined for a user, or if this node has no JWT_SECRET. It grants
 * access to the order, so it is not stored, and only the guest receives it.
 */
export function guestLinkOf(
	message: Message,
	{ JWT_SECRET, PUBLIC_URL, PORT }: Env,
): string | undefined {
	const id = orderIdOf(message);
	if (message.user_id !== null || id === undefined || JWT_SECRET === undefined) return undefined;
	const publicUrl = PUBLIC_URL ?? `http://localhost:${PORT}`;
	return buildOrderLink(publicUrl, id, createOrderToken(JWT_SECRET, id));
}

/**
 * The details of an order for its template.
 * @param verified whether the recipient has proven the address. Otherwise the message could go to a
 * stranger, so it contains of an address only the postal code and country.
 */
export function detailsOf(
	{ shipping_address, billing_address, ...details }: Order,
	verified: boolean,
): OrderDetails {
	const linesOf = (address: string | Address): readonly string[] => {
		if (typeof address === "string") return verified ? [address.replace(/\s+/g, " ").trim()] : [];
		return verified ? formatAddress(address) : formatPlace(address);
	};
	return {
		...details,
		shipping_address: shipping_address ? linesOf(shipping_address) : [],
		billing_address: billing_address ? linesOf(billing_address) : [],
	};
}
