import { assertAddress } from "../../lib/addresses/address.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { isCurrency } from "../../lib/money/currency.ts";
import { acceptEmail } from "./carts.changes.ts";
import type { cartPreview } from "./carts.contract.shapes.ts";
import type { carts } from "./carts.contract.ts";
import type { CartToEvaluate } from "./carts.evaluation.rules.ts";
import type { Evaluator } from "./carts.evaluation.ts";
import { evaluatedView } from "./carts.view.rules.ts";

type Request = Infer<typeof carts.actions.preview.params>;

/**
 * The action `carts.preview`: prices the cart of the request in the same way as a stored one.
 * Stores nothing.
 * @throws VALIDATION_ERROR, and an outage of products
 */
export async function previewCart(
	evaluator: Evaluator,
	request: Request,
): Promise<Infer<typeof cartPreview>> {
	const { currency, shipping_address } = request;
	if (currency !== undefined && !isCurrency(currency))
		throw invalidField("currency", "CURRENCY", "Enter an ISO 4217 code, such as EUR");
	if (shipping_address) assertAddress("shipping_address", shipping_address);
	const [product] = await evaluator.findProducts([request.lines[0]!.product_id]);
	const cart = cartOf({ ...request, currency: currency ?? product?.currency });
	const { changes: _, ...view } = evaluatedView(cart, await evaluator.evaluate(cart));
	return view;
}

type Priced = Omit<Request, "currency"> & { readonly currency: string | undefined };
function cartOf({ lines, email, coupon_codes = [], ...request }: Priced): CartToEvaluate {
	return {
		user_id: request.user_id ?? null,
		email: email === undefined ? null : acceptEmail(email),
		currency: request.currency ?? null,
		lines: distinct(lines).map((line) => ({ ...line, seen: null })),
		// Codes differ in more than their case.
		coupon_codes: [...new Map(coupon_codes.map((code) => [code.toLowerCase(), code])).values()],
		shipping_address: request.shipping_address ?? null,
		billing_address: null,
		shipping_method: request.shipping_method ?? null,
		quote: null,
	};
}

/** @throws VALIDATION_ERROR if two lines have the same product */
function distinct(lines: Request["lines"]): Request["lines"] {
	const seen = new Set<string>();
	for (const [i, { product_id }] of lines.entries()) {
		if (seen.has(product_id))
			throw invalidField(`lines[${i}].product_id`, "DUPLICATE", "Enter each product once");
		seen.add(product_id);
	}
	return lines;
}
