import { timingSafeEqual } from "node:crypto";
import type { Address } from "../../lib/addresses/address.ts";
import { type Meta, throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import type { TaxRate } from "../../lib/pricing/pricing.ts";
import type { DeliveryMethod, PromotionRecord } from "../../lib/pricing/sources.ts";
import { digest } from "../../lib/security/secret-token.ts";
import { type cart, MAX_LINES, MAX_QUANTITY, type placeRequest } from "./carts.contract.shapes.ts";
import { carts } from "./carts.contract.ts";

/** A cart as the API returns it. */
export type Cart = Infer<typeof cart>;
export type PlaceRequest = Infer<typeof placeRequest>;

/** The last known values on which the price of a cart depends, see `priceCarts`. */
export interface Quote {
	readonly methods: readonly DeliveryMethod[];
	/** Null while nothing is taxed. */
	readonly tax: {
		readonly prices_include_tax: boolean;
		/** Rates by product; missing or null without tax. */
		readonly rates: { readonly [product_id: string]: TaxRate | null };
		readonly shipping: TaxRate | null;
	} | null;
	/** Promotions of the coupons. */
	readonly promotions: readonly PromotionRecord[];
}

export interface CartLine {
	readonly product_id: string;
	readonly quantity: number;
	/** Unit price that the buyer last saw, in major units; null if the product had none. */
	readonly seen: number | null;
	/** Options of a variant. */
	readonly options?: object;
}
/** Contents that a buyer determines, with the last seen prices. */
export interface CartContents {
	/** Null without lines, unless the buyer has chosen one. */
	readonly currency: string | null;
	readonly email: string | null;
	readonly shipping_address: Address | null;
	readonly billing_address: Address | null;
	readonly shipping_method: string | null;
	readonly coupon_codes: readonly string[];
	readonly lines: readonly CartLine[];
	/** The last known values of tax, shipping and coupons; null if none is used. */
	readonly quote: Quote | null;
}
/** The row of a cart. */
export interface StoredCart extends CartContents {
	readonly id: string;
	readonly version: number;
	readonly status: Cart["status"];
	/** Null for a guest. */
	readonly user_id: string | null;
	/** Whether the buyer has chosen the currency when the cart was opened. */
	readonly is_currency_chosen: boolean;
	/** SHA-256 of a guest's token. */
	readonly token_digest: Buffer | null;
	readonly order_id: string | null;
	/** Request of the last checkout; null while the cart is open. */
	readonly request: PlaceRequest | null;
	readonly cancellation_reason: string | null;
	readonly merged_into: string | null;
	readonly expires_at: string;
	readonly updated_at: string;
}
/** The credentials of a call. */
export type Credentials = Pick<Meta, "user" | "token">;

/** The cart's owner: the user of the account, or the holder of a guest's token. */
export function isOwner(
	{ user_id, token_digest }: Pick<StoredCart, "user_id" | "token_digest">,
	{ user, token }: Credentials,
): boolean {
	if (token_digest === null) return user_id !== null && user?.id === user_id;
	return token !== undefined && timingSafeEqual(digest(token), token_digest);
}

/** @throws CART_NOT_FOUND also without access, so that the cart's existence is not disclosed */
export function assertAccess<C extends StoredCart>(
	found: C | undefined,
	credentials: Credentials,
): asserts found is C {
	if (found && (credentials.user?.role === "admin" || isOwner(found, credentials))) return;
	throwError(carts, "CART_NOT_FOUND");
}

/**
 * Whether a cart exists for its owner. An expired open cart does not, until its row is deleted.
 * @param now epoch milliseconds
 */
export const isCurrent = (
	{ status, expires_at }: Pick<StoredCart, "status" | "expires_at">,
	now: number,
): boolean => status !== "open" || Date.parse(expires_at) > now;

/** @throws CART_NOT_OPEN */
export function assertOpen({ status, order_id }: StoredCart): void {
	if (status !== "open")
		throwError(carts, "CART_NOT_OPEN", { status, ...(order_id ? { order_id } : {}) });
}

/**
 * The entity tag of a cart: its version, and the tag of the body. Prices change without the cart,
 * so If-None-Match compares both and If-Match only the version.
 */
export const entityTag = (version: number, bodyTag: string): string =>
	`"${version}.${bodyTag.slice(1, -1)}"`;

/** @throws PRECONDITION_FAILED if the tags of If-Match belong to other versions */
export function assertIfMatch({ version }: StoredCart, if_match: string | undefined): void {
	if (if_match === undefined || if_match === "*") return;
	const tags = if_match.match(/(W\/)?"[^"]*"/g) ?? [];
	if (!tags.some((tag) => tag.startsWith(`"${version}.`))) throw commonError("PRECONDITION_FAILED");
}

/**
 * The lines with another quantity of a product. A new line is the last one.
 * @param quantity 0 removes the line
 * @param details of a new line
 * @throws CART_FULL
 */
export function withQuantity(
	lines: readonly CartLine[],
	product_id: string,
	quantity: number,
	details: Pick<CartLine, "seen" | "options">,
): CartLine[] {
	if (quantity === 0) return lines.filter((line) => line.product_id !== product_id);
	if (lines.some((line) => line.product_id === product_id))
		return lines.map((line) => (line.product_id === product_id ? { ...line, quantity } : line));
	if (lines.length >= MAX_LINES) throwError(carts, "CART_FULL");
	return [...lines, { product_id, quantity, ...details }];
}

/** The currency of a cart with the given lines; null if its next line decides it. */
export const currencyWith = (
	lines: readonly CartLine[],
	{ currency, is_currency_chosen }: Pick<StoredCart, "currency" | "is_currency_chosen">,
): string | null => (lines.length > 0 || is_currency_chosen ? currency : null);

/**
 * Merges a cart into another one. Quantities are added, up to the limits; lines beyond the limit of
 * a cart are left out. Values that the other cart already has remain, and so does its e-mail
 * address, even if it is null.
 * @throws MIXED_CURRENCIES if both have lines, in different currencies
 */
export function merge(from: CartContents, into: CartContents): CartContents {
	if (!haveSameCurrency(from, into)) throwError(carts, "MIXED_CURRENCIES");
	const lines = new Map(into.lines.map((line) => [line.product_id, line]));
	for (const line of from.lines) {
		const other = lines.get(line.product_id);
		if (!other && lines.size >= MAX_LINES) continue;
		const quantity = Math.min(line.quantity + (other?.quantity ?? 0), MAX_QUANTITY);
		lines.set(line.product_id, { ...(other ?? line), quantity });
	}
	return {
		...into,
		currency: into.lines.length > 0 ? into.currency : (from.currency ?? into.currency),
		lines: [...lines.values()],
		shipping_address: into.shipping_address ?? from.shipping_address,
		billing_address: into.billing_address ?? from.billing_address,
		shipping_method: into.shipping_method ?? from.shipping_method,
		coupon_codes: into.coupon_codes.length > 0 ? into.coupon_codes : from.coupon_codes,
	};
}

/** Whether one of the carts is empty or both have the same currency. */
export const haveSameCurrency = (one: CartContents, other: CartContents): boolean =>
	one.lines.length === 0 || other.lines.length === 0 || one.currency === other.currency;
