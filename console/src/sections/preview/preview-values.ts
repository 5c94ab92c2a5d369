import type { ParamsOf, ResultOf } from "../../../../clients/typescript/src/index.ts";
import { textOf } from "../../form-values.ts";

export type Preview = ResultOf<"carts.preview">;
export type Cart = ResultOf<"carts.get">;
type Params = ParamsOf<"carts.preview">;
type Address = NonNullable<Params["shipping_address"]>;
type Problem = Preview["problems"][number];

/** Customer and address of a cart, which the form does not show in full. */
export type CartDetails = Pick<Cart, "shipping_address" | "user_id" | "email" | "currency">;

/** Members of an address that prices do not depend on, but that an address has. */
const PLACEHOLDERS = { name: "Price preview", line1: "-", city: "-" };

/**
 * Parameters of a preview.
 * @param lines quantities by product ID
 * @param cart the cart that has been loaded into the form
 */
export function readPreview(
	values: FormData,
	lines: Readonly<Record<string, number>>,
	cart?: CartDetails,
): Params {
	const coupon_codes = textOf(values, "coupon_codes")
		.split(/[\s,]+/)
		.filter((code) => code !== "");
	const [shipping_method, country, region, postal_code, email, user_id] = [
		...["shipping_method", "country", "region", "postal_code", "email", "user_id"],
	].map((name) => textOf(values, name)) as [string, string, string, string, string, string];
	const address: Address = {
		...PLACEHOLDERS,
		...cart?.shipping_address,
		country: country.toUpperCase(),
		region: region || null,
		postal_code: postal_code || null,
	};
	return {
		lines: Object.entries(lines).map(([product_id, quantity]) => ({ product_id, quantity })),
		...(cart ? { currency: cart.currency } : {}),
		...(country ? { shipping_address: address } : {}),
		...(shipping_method ? { shipping_method } : {}),
		...(coupon_codes.length > 0 ? { coupon_codes } : {}),
		...(user_id ? { user_id } : email ? { email } : {}),
	};
}

/** Name of the input for a field that the shop has rejected. */
export const inputOf = (field: string): string =>
	field
		.replace(/^shipping_address\./, "")
		.replace(/^coupon_codes\[\d+\]$/, "coupon_codes")
		.replace(/^lines\[(\d+)\]\.\w+$/, "lines[$1]");

const PROBLEMS: Readonly<Record<Problem["code"], string>> = {
	PRODUCT_NOT_FOUND: "The product is not in the catalogue.",
	CHOOSE_VARIANT: "The product has variants: choose one of them.",
	CURRENCY_CHANGED: "The product has a price in another currency.",
	ORDER_TOO_LARGE: "With this line, the cart exceeds the largest amount.",
	OUT_OF_STOCK: "The stock is less than the quantity.",
	EMAIL_REQUIRED: "A guest needs an e-mail address to order.",
	ADDRESS_REQUIRED: "Shipping or tax depends on the address: enter a country.",
	UNDELIVERABLE: "No shipping method delivers the cart.",
	METHOD_UNAVAILABLE: "The selected shipping method does not deliver the cart.",
	COUPON_UNKNOWN: "The coupon is unknown or has ended.",
	COUPON_USED_UP: "The coupon is used up, or this customer has used it up.",
};
/** Describes a condition that prevents the checkout. @param lines names of products */
export function describeProblem(
	{ code, product_id, coupon_code }: Problem,
	lines: Preview["lines"],
): string {
	const name = lines.find((line) => line.product_id === product_id)?.name;
	const subject = coupon_code ?? (product_id && (name || product_id));
	return subject ? `${subject}: ${PROBLEMS[code]}` : PROBLEMS[code];
}
