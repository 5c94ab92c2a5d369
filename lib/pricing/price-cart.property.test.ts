import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { test } from "@jest/globals";
import fc from "fast-check";
import { sumOf } from "./integers.ts";
import { priceCart } from "./price-cart.ts";
import type {
	PricedCart,
	PricingInput,
	PricingPromotion,
	PromotionConditions,
	PromotionEffect,
	TaxRate,
} from "./pricing.ts";
import { refundOf, shippingRefund, taxIn } from "./refunds.ts";

// Assertions of Node: `expect` takes longer than the pricing of a cart.
const RUNS = { seed: 1, numRuns: 2000 };
const PRODUCTS = [..."abcdefgh"];
const USERS = ["u", "v"];
const BRANCHES = ["Kitchen", "kitchen/knives", "Books", "Toys"];
const RATES: readonly (TaxRate | null)[] = [
	null,
	{ name: "VAT", rate: 0.19 },
	{ name: "VAT", rate: 0.07 },
	{ name: "Sales tax", rate: 0.07 },
	{ name: "Sales tax", rate: 0.08875 },
	{ name: "Luxury tax", rate: 1 },
	{ name: "Exempt", rate: 0 },
];
/** Minor units: small ones, for remainders, and those of large carts, for products above 2^53. */
const price = fc.oneof(fc.nat(20), fc.nat(100_000), fc.nat(10_000_000_000));
const rate = fc.oneof(
	fc.constantFrom(...RATES),
	fc.nat(1_000_000).map((millionths) => ({ name: "Tax", rate: millionths / 1_000_000 })),
);

const line = fc.record({
	quantity: fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 1000 })),
	unit_price: price,
	category: fc.constantFrom(null, "Kitchen", "Kitchen/Knives", "Kitchenware", "Books/Art"),
	tax: rate,
});

const effect: fc.Arbitrary<PromotionEffect> = fc.oneof(
	fc.record({
		type: fc.constant("percent_off"),
		value: fc.oneof(
			fc.integer({ min: 1, max: 100 }),
			fc.nat(1_000_000).map((v) => v / 10_000),
		),
	}),
	fc.record({ type: fc.constant("amount_off"), value: price }),
	fc.record({ type: fc.constant("free_shipping") }),
	fc.record({
		type: fc.constant("buy_x_get_y"),
		buy: fc.integer({ min: 1, max: 4 }),
		get: fc.integer({ min: 1, max: 3 }),
	}),
);
const conditions: fc.Arbitrary<PromotionConditions> = fc.record(
	{
		min_subtotal: price,
		product_ids: fc.subarray(PRODUCTS, { minLength: 1 }),
		categories: fc.subarray(BRANCHES, { minLength: 1 }),
		first_order: fc.boolean(),
		user_ids: fc.subarray(USERS, { minLength: 1 }),
	},
	{ requiredKeys: [] },
);
const promotion: fc.Arbitrary<Omit<PricingPromotion, "id" | "name">> = fc.record(
	{
		code: fc.constantFrom(null, "CODE"),
		priority: fc.integer({ min: -1, max: 1 }),
		combinable: fc.boolean(),
		conditions: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, conditions),
		effect,
		max_discount: price,
	},
	{ requiredKeys: ["code", "priority", "combinable", "conditions", "effect"] },
);

/** Any cart with products that differ, in random order. */
const carts: fc.Arbitrary<PricingInput> = fc
	.record({
		currency: fc.constantFrom("JPY", "EUR", "BHD"),
		product_ids: fc.shuffledSubarray(PRODUCTS),
		lines: fc.array(line, { minLength: PRODUCTS.length, maxLength: PRODUCTS.length }),
		promotions: fc.array(promotion, { maxLength: 5 }),
		customer: fc.record({
			user_id: fc.constantFrom(null, ...USERS),
			has_ordered: fc.boolean(),
		}),
		shipping: fc.option(
			fc.record({ code: fc.constant("s"), name: fc.constant("Standard"), price }),
		),
		shippingRate: rate,
		prices_include_tax: fc.boolean(),
		rounding: fc.constantFrom("line" as const, "total" as const),
	})
	.map(({ product_ids, lines, promotions, shippingRate, prices_include_tax, ...cart }) => ({
		...cart,
		lines: product_ids.map((product_id, i) => {
			const { quantity, unit_price, category } = lines[i]!;
			return { product_id, quantity, unit_price, category };
		}),
		promotions: promotions.map((data, i) => ({ id: `p${i}`, name: `Promotion ${i}`, ...data })),
		tax: {
			prices_include_tax,
			lines: product_ids.map((_, i) => lines[i]!.tax),
			shipping: shippingRate,
		},
	}));

const amountsOf = (cart: PricedCart) => [
	...cart.lines.flatMap(({ subtotal, discount, tax, total }) => [subtotal, discount, tax, total]),
	...[...cart.adjustments, ...cart.taxes].map(({ amount }) => amount),
	...[cart.shipping_amount, cart.shipping_discount, cart.shipping_tax],
	...[cart.subtotal, cart.discount_amount, cart.tax_amount, cart.total_amount],
];

test("all amounts are non-negative integers, and totals are the sums of their parts", () => {
	const property = fc.property(carts, (input) => {
		const cart = priceCart(input);
		const { lines, shipping_amount, shipping_discount, shipping_tax } = cart;
		ok(amountsOf(cart).every((amount) => Number.isSafeInteger(amount) && amount >= 0));
		const sum = (field: "subtotal" | "discount" | "tax" | "total") =>
			sumOf(lines.map((line) => line[field]));
		const added = (tax: number) => (input.tax.prices_include_tax ? 0 : tax);
		strictEqual(cart.subtotal, sum("subtotal"));
		strictEqual(cart.discount_amount, sum("discount") + shipping_discount);
		strictEqual(cart.discount_amount, sumOf(cart.adjustments.map(({ amount }) => amount)));
		strictEqual(cart.tax_amount, sum("tax") + shipping_tax);
		strictEqual(cart.tax_amount, sumOf(cart.taxes.map(({ amount }) => amount)));
		strictEqual(
			cart.total_amount,
			cart.subtotal - cart.discount_amount + shipping_amount + added(cart.tax_amount),
		);
		strictEqual(
			cart.total_amount,
			sum("total") + shipping_amount - shipping_discount + added(shipping_tax),
		);
		for (const { total, subtotal, discount, tax } of lines)
			strictEqual(total, subtotal - discount + added(tax));
	});
	fc.assert(property, RUNS);
});

test("a discount never exceeds its base or its limit, and no adjustment is zero", () => {
	const property = fc.property(carts, (input) => {
		const cart = priceCart(input);
		for (const { discount, subtotal } of cart.lines) ok(discount <= subtotal);
		ok(cart.shipping_discount <= cart.shipping_amount);
		for (const { promotion_id, amount } of cart.adjustments) {
			const { effect, max_discount = amount } = input.promotions.find(
				({ id }) => id === promotion_id,
			)!;
			ok(amount > 0);
			ok(amount <= max_discount);
			if (effect.type === "amount_off") ok(amount <= effect.value);
		}
	});
	fc.assert(property, RUNS);
});

test("a promotion that is not combinable applies alone, and only if nothing discounts more", () => {
	const property = fc.property(carts, (input) => {
		const { adjustments, discount_amount } = priceCart(input);
		const isSingle = (id: string) => !input.promotions.find((found) => found.id === id)!.combinable;
		if (adjustments.some(({ promotion_id }) => isSingle(promotion_id)))
			strictEqual(adjustments.length, 1);
		for (const { id, combinable } of input.promotions) {
			const promotions = input.promotions.filter((other) =>
				combinable ? other.combinable : other.id === id,
			);
			const alternative = priceCart({ ...input, promotions });
			ok(alternative.discount_amount <= discount_amount);
		}
	});
	fc.assert(property, RUNS);
});

test("the order of lines and promotions changes nothing but the order of the priced lines", () => {
	const byProduct = ({ lines, ...cart }: PricedCart) => ({
		...cart,
		lines: Object.fromEntries(lines.map((line) => [line.product_id, line])),
	});
	const permuted = carts.chain((input) =>
		fc
			.tuple(
				fc.shuffledSubarray([...input.lines.keys()], { minLength: input.lines.length }),
				fc.shuffledSubarray([...input.promotions], { minLength: input.promotions.length }),
			)
			.map(([order, promotions]): [PricingInput, PricingInput] => [
				input,
				{
					...input,
					promotions,
					lines: order.map((position) => input.lines[position]!),
					tax: { ...input.tax, lines: order.map((position) => input.tax.lines[position]!) },
				},
			]),
	);
	const property = fc.property(permuted, ([input, other]) => {
		const [cart, otherCart] = [priceCart(input), priceCart(other)];
		deepStrictEqual(byProduct(otherCart), byProduct(cart));
		deepStrictEqual(
			otherCart.lines.map(({ product_id }) => product_id),
			other.lines.map(({ product_id }) => product_id),
		);
	});
	fc.assert(property, RUNS);
});

test("with ROUNDING=total, the tax of a rate is its exact value, rounded half up", () => {
	const property = fc.property(carts, (input) => {
		const cart = priceCart({ ...input, rounding: "total" });
		for (const { name, rate, amount } of cart.taxes) {
			const millionths = BigInt(Math.round(rate * 1e6));
			const charged = [
				...cart.lines.map(({ tax_rate, subtotal, discount }) => ({
					tax_rate,
					amount: subtotal - discount,
				})),
				{
					tax_rate: cart.shipping_tax_rate,
					amount: cart.shipping_amount - cart.shipping_discount,
				},
			].filter(({ tax_rate }) => tax_rate?.name === name && tax_rate.rate === rate);
			const base = BigInt(sumOf(charged.map((part) => part.amount)));
			const whole = input.tax.prices_include_tax ? 1_000_000n + millionths : 1_000_000n;
			const difference = 2n * (base * millionths - BigInt(amount) * whole);
			ok(difference < whole && difference >= -whole);
		}
	});
	fc.assert(property, RUNS);
});

test("refunds of all pieces, in any order and in any portions, add up to the total", () => {
	const scenario = carts.chain((input) => {
		const cart = priceCart({
			...input,
			lines: input.lines.map((line) => ({ ...line, quantity: Math.min(line.quantity, 12) })),
		});
		const pieces = cart.lines.flatMap(({ quantity }, i) =>
			Array.from({ length: quantity }, () => i),
		);
		return fc.record({
			cart: fc.constant(cart),
			order: fc.shuffledSubarray(pieces, { minLength: pieces.length }),
			portion: fc.integer({ min: 1, max: 4 }),
		});
	});
	const property = fc.property(scenario, ({ cart, order, portion }) => {
		const refunded = cart.lines.map(() => ({ pieces: 0, amount: 0 }));
		for (const i of order) {
			const [line, before] = [cart.lines[i]!, refunded[i]!];
			const pieces = Math.min(portion, line.quantity - before.pieces);
			const amount = refundOf(line, pieces, before);
			const after = { pieces: before.pieces + pieces, amount: before.amount + amount };
			const tax = taxIn(line, after.amount) - taxIn(line, before.amount);
			ok(amount >= tax && tax >= 0);
			refunded[i] = after;
		}
		deepStrictEqual(
			refunded,
			cart.lines.map(({ quantity, total }) => ({ pieces: quantity, amount: total })),
		);
		for (const line of cart.lines) strictEqual(taxIn(line, line.total), line.total && line.tax);
		const shipping = shippingRefund(cart);
		strictEqual(sumOf(cart.lines.map(({ total }) => total)) + shipping.amount, cart.total_amount);
		strictEqual(sumOf(cart.lines.map(({ tax }) => tax)) + shipping.tax, cart.tax_amount);
	});
	fc.assert(property, RUNS);
});
