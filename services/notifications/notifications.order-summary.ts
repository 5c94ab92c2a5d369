import { formatAmount } from "../../lib/money/format-amount.ts";

/** Amounts of an order in major units. All but the total are undefined in events of older nodes. */
export interface OrderAmounts {
	readonly total_amount: number;
	readonly currency: string;
	readonly subtotal?: number;
	readonly discount_amount?: number;
	readonly shipping_amount?: number;
	readonly tax_amount?: number;
}
/** Fields that the orders service adds to an event. Older nodes return fewer. */
export interface OrderDetails extends OrderAmounts {
	readonly items?: readonly {
		readonly name: string;
		readonly quantity: number;
		readonly line_total: number;
	}[];
	readonly adjustments?: readonly {
		readonly name: string;
		readonly code: string | null;
		readonly amount: number;
	}[];
	readonly shipping_method?: { readonly name: string } | null;
	readonly taxes?: readonly {
		readonly name: string;
		/** Fraction: 0.19 is 19 %. */
		readonly rate: number;
		readonly amount: number;
	}[];
	readonly prices_include_tax?: boolean;
	readonly coupon_codes?: readonly string[];
	/** Lines of text, as far as the recipient may see them. */
	readonly shipping_address?: readonly string[];
	readonly billing_address?: readonly string[];
}

/** Blocks of lines that show an order: products, amounts, coupons and addresses. */
export function summarize(order: OrderDetails): string[][] {
	const { items = [], coupon_codes = [], currency } = order;
	const { shipping_address = [], billing_address = [] } = order;
	const lines = items.map(
		({ name, quantity, line_total }) =>
			`${quantity} × ${name}: ${formatAmount(line_total, currency)}`,
	);
	const isOther = billing_address.join("\n") !== shipping_address.join("\n");
	return [
		[...lines, ...amountLines(order)],
		coupon_codes.length > 0 ? [`Coupons: ${coupon_codes.join(", ")}`] : [],
		titled("Delivery address:", shipping_address),
		isOther ? titled("Billing address:", billing_address) : [],
	].filter((block) => block.length > 0);
}

/** Lines from the subtotal to the total; the total alone if it equals the subtotal. */
function amountLines(order: OrderDetails): string[] {
	const { subtotal, total_amount, currency, shipping_method } = order;
	const { shipping_amount = 0 } = order;
	const show = (amount: number) => formatAmount(amount, currency);
	const method = shipping_method ? ` (${shipping_method.name})` : "";
	const parts = [
		...discountLines(order),
		...(shipping_amount > 0 || method ? [`Shipping${method}: ${show(shipping_amount)}`] : []),
		...taxLines(order),
	];
	return [
		...(subtotal === undefined || parts.length === 0 ? [] : [`Subtotal: ${show(subtotal)}`]),
		...parts,
		`Total: ${show(total_amount)}`,
	];
}

function discountLines({ adjustments, discount_amount = 0, currency }: OrderDetails): string[] {
	if (adjustments?.length)
		return adjustments.map(({ name, amount }) => `${name}: ${formatAmount(-amount, currency)}`);
	return discount_amount > 0 ? [`Discount: ${formatAmount(-discount_amount, currency)}`] : [];
}

function taxLines({ taxes, tax_amount = 0, currency, ...order }: OrderDetails): string[] {
	const included = order.prices_include_tax ? "Includes " : "";
	if (taxes?.length)
		return taxes.map(
			({ name, rate, amount }) =>
				`${included}${name} (${percent.format(rate)}): ${formatAmount(amount, currency)}`,
		);
	return tax_amount > 0 ? [`${included}Tax: ${formatAmount(tax_amount, currency)}`] : [];
}
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 4 });

const titled = (title: string, lines: readonly string[]): string[] =>
	lines.length > 0 ? [title, ...lines] : [];
