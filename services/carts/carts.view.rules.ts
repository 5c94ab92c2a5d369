import type { Infer } from "../../lib/contracts/schema.ts";
import { fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import { inMajorUnits } from "../../lib/pricing/major-units.ts";
import type { cartPreview } from "./carts.contract.shapes.ts";
import {
	type CartToEvaluate,
	DEFAULT_CURRENCY,
	type Evaluation,
	problemsOf,
} from "./carts.evaluation.rules.ts";
import type { Cart, PlaceRequest, StoredCart } from "./carts.rules.ts";

/** The fields of a cart that are returned as they are stored. */
const storedFields = (cart: StoredCart) => ({
	id: cart.id,
	status: cart.status,
	user_id: cart.user_id,
	currency: cart.currency ?? DEFAULT_CURRENCY,
	email: cart.email,
	shipping_address: cart.shipping_address,
	billing_address: cart.billing_address,
	coupon_codes: [...cart.coupon_codes],
	order_id: cart.order_id,
	cancellation_reason: cart.cancellation_reason,
	expires_at: cart.expires_at,
	updated_at: cart.updated_at,
});
const NO_PRICES = {
	adjustments: [],
	shipping_amount: 0,
	taxes: [],
	subtotal: 0,
	discount_amount: 0,
	tax_amount: 0,
	total_amount: 0,
	prices_include_tax: true,
};
const NO_AMOUNTS = { unit_price: 0, subtotal: 0, discount: 0, tax: 0, total: 0 };

type EvaluatedView = Infer<typeof cartPreview> & Pick<Cart, "changes">;

/** The prices of an evaluated cart in major units. */
const pricesOf = ({ result }: Evaluation) =>
	result ? inMajorUnits(result.priced, () => ({})) : undefined;

/** An open cart as the API returns it. */
export const openView = (cart: StoredCart, evaluation: Evaluation): Cart => ({
	...storedFields(cart),
	...evaluatedView(cart, evaluation),
});

/** The fields of a cart that depend on its contents, stored or not. */
export function evaluatedView(cart: CartToEvaluate, evaluation: Evaluation): EvaluatedView {
	const { lines, available, result, estimated } = evaluation;
	const prices = pricesOf(evaluation);
	const amounts = new Map(prices?.lines.map((line) => [line.product_id, line]));
	const { adjustments, shipping_amount, taxes, subtotal, prices_include_tax } = prices ?? NO_PRICES;
	const { discount_amount, tax_amount, total_amount } = prices ?? NO_PRICES;
	return {
		currency: cart.currency ?? DEFAULT_CURRENCY,
		coupon_codes: [...cart.coupon_codes],
		lines: lines.map(({ line: { product_id, quantity, options }, product }) => {
			const { unit_price, subtotal, discount, tax, total } = amounts.get(product_id) ?? NO_AMOUNTS;
			return {
				product_id,
				name: product?.name ?? "",
				options: product?.options ?? options ?? null,
				quantity,
				...{ unit_price, subtotal, discount, tax, total },
				available: available ? (available.get(product_id) ?? 0) : null,
			};
		}),
		...{ adjustments, shipping_amount, taxes, subtotal, discount_amount, tax_amount, total_amount },
		prices_include_tax,
		shipping_method: cart.shipping_method ?? prices?.shipping_method?.code ?? null,
		shipping_methods: [...(result?.shipping_methods ?? [])],
		estimated,
		changes: lines.flatMap(({ line: { product_id, seen }, unit_price }) =>
			seen === unit_price ? [] : [{ product_id, from: seen, to: unit_price }],
		),
		problems: problemsOf(cart, evaluation),
	};
}

/** A cart that is being completed or is completed, at the prices of its order. */
export function orderedView(cart: StoredCart, { priced }: PlaceRequest): Cart {
	const { currency, shipping_method } = priced;
	const options = new Map(cart.lines.map((line) => [line.product_id, line.options]));
	return {
		...storedFields(cart),
		lines: priced.lines.map(({ tax_rate: _, ...line }) => ({
			...line,
			options: options.get(line.product_id) ?? null,
			subtotal: fromMinorUnits(toMinorUnits(line.unit_price, currency) * line.quantity, currency),
			available: null,
		})),
		adjustments: priced.adjustments,
		shipping_amount: priced.shipping_amount,
		taxes: priced.taxes,
		subtotal: priced.subtotal,
		discount_amount: priced.discount_amount,
		tax_amount: priced.tax_amount,
		total_amount: priced.total_amount,
		prices_include_tax: priced.prices_include_tax,
		shipping_method: shipping_method?.code ?? null,
		shipping_methods: shipping_method
			? [{ ...shipping_method, price: priced.shipping_amount }]
			: [],
		estimated: false,
		changes: [],
		problems: [],
	};
}

/** The view of a cart without contents that can change: one that was merged into another. */
export const emptyView = (cart: StoredCart): Cart => ({
	...storedFields(cart),
	lines: [],
	...NO_PRICES,
	shipping_method: null,
	shipping_methods: [],
	estimated: false,
	changes: [],
	problems: [],
});

/** The request of the order of an evaluated cart without problems. */
export function toPlaceRequest(
	cart: StoredCart,
	evaluation: Evaluation,
	{ order_id, payment_token }: Pick<PlaceRequest, "order_id" | "payment_token">,
): PlaceRequest {
	const names = new Map(evaluation.lines.map(({ product }) => [product?.id, product?.name]));
	const prices = inMajorUnits(evaluation.result!.priced, ({ product_id }) => ({
		name: names.get(product_id) ?? "",
	}));
	return {
		order_id,
		user_id: cart.user_id,
		payment_token,
		priced: {
			...prices,
			lines: prices.lines.map(({ subtotal: _, ...line }) => line),
			email: cart.email,
			shipping_address: cart.shipping_address,
			billing_address: cart.billing_address,
			// A coupon without a discount is not redeemed.
			coupon_codes: prices.adjustments.flatMap(({ code }) => code ?? []),
		},
	};
}
