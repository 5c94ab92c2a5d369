import { type Address, formatAddress, formatPlace } from "../../lib/addresses/address.ts";
import type { Call, Meta } from "../../lib/contracts/contract.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import { createOrderToken } from "../../lib/security/order-token.ts";
import type { Env } from "../../lib/settings/env.ts";
import type {} from "../orders/orders.contract.ts";
import type { OrderDetails } from "./notifications.order-summary.ts";
import { buildOrderLink } from "./notifications.rules.ts";

/** Fields of an order that messages use. Those that an older node does not return are undefined. */
interface Order extends Omit<OrderDetails, "shipping_address" | "billing_address"> {
	readonly email?: string | null;
	readonly shipping_address?: string | Address | null;
	readonly billing_address?: Address | null;
}
type Buyer = Pick<NonNullable<Meta["user"]>, "id" | "email">;
/** A message, with null as the user of a guest. */
interface Message {
	readonly user_id: string | null;
	readonly data: object;
}

/** ID of the order that a message is about; undefined for a message about an account. */
const orderIdOf = ({ data }: Message): string | undefined =>
	(data as { order_id?: string }).order_id;

/** Reads orders as their buyers do, so that the rules of the orders service apply. */
export class Orders {
	readonly #call: Call;
	readonly #secret: string | undefined;
	readonly #publicUrl: string;

	/** @param call without the metadata of another call, which would receive that of the buyer */
	constructor(call: Call, { JWT_SECRET, PUBLIC_URL, PORT }: Env) {
		this.#call = call;
		this.#secret = JWT_SECRET;
		this.#publicUrl = PUBLIC_URL ?? `http://localhost:${PORT}`;
	}

	/**
	 * Reads the order of a message; undefined if its buyer cannot read it, or if this node has no
	 * JWT_SECRET to read the order of a guest.
	 * @param user user of the message, if there is one
	 * @param verified whether the user has proven the address
	 * @throws an outage of the orders service
	 */
	async read(
		message: Message,
		user: Buyer | null,
		verified: boolean,
	): Promise<{ details: OrderDetails; email: string | null } | undefined> {
		const id = orderIdOf(message);
		const meta = id === undefined ? undefined : this.#accessOf(id, message, user);
		if (id === undefined || !meta) return undefined;
		try {
			const order = (await this.#call("orders.get", { id }, { meta })) as Order;
			return { details: detailsOf(order, verified), email: order.email ?? null };
		} catch (error) {
			if (isOutage(error)) throw error;
			return undefined;
		}
	}

	/**
	 * Link to the order of a guest; undefined for a user, or without JWT_SECRET. It grants access to
	 * the order, so it is not stored, and only the guest receives it.
	 */
	linkOf(message: Message): string | undefined {
		const id = orderIdOf(message);
		if (message.user_id !== null || id === undefined || this.#secret === undefined)
			return undefined;
		return buildOrderLink(this.#publicUrl, id, createOrderToken(this.#secret, id));
	}

	#accessOf(id: string, { user_id }: Message, user: Buyer | null): Meta | undefined {
		if (user_id !== null)
			return user ? { user: { id: user.id, email: user.email, role: "user" } } : undefined;
		return this.#secret === undefined ? undefined : { token: createOrderToken(this.#secret, id) };
	}
}

/**
 * The details of an order for its template.
 * @param verified whether the recipient has proven the address. Otherwise the message could go to a
 * stranger, so it contains of an address only the postal code and country.
 */
function detailsOf(order: Order, verified: boolean): OrderDetails {
	const { email: _, shipping_address, billing_address, ...details } = order;
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
