import { hasTargets, isEligible, targetsOf } from "./conditions.ts";
import { allocate, shareOf, sumOf } from "./integers.ts";
import type { Adjustment, PricingInput, PricingLine, PricingPromotion } from "./pricing.ts";

export interface Discounts {
	/** Discount of each line, in the order of the lines. */
	readonly lines: readonly number[];
	readonly shipping: number;
	readonly total: number;
	/** In the order in which the promotions are applied. */
	readonly adjustments: readonly Adjustment[];
}
type Context = Pick<PricingInput, "lines" | "rounding">;

export const NO_DISCOUNTS: Discounts = { lines: [], shipping: 0, total: 0, adjustments: [] };
/** Percentages have four decimals and are calculated as integers: 100 % is a million. */
const PERCENT = 10_000;
const WHOLE = 100 * PERCENT;

/**
 * Discounts of a cart: those of all combinable promotions together, or of one promotion that is not
 * combinable, if its discount is larger.
 */
export function discountsOf(input: PricingInput, subtotals: readonly number[]): Discounts {
	const subtotal = sumOf(subtotals);
	const eligible = input.promotions
		.filter((promotion) => isEligible(promotion, subtotal, input.customer))
		.sort(byApplication)
		.filter(({ id }, i, sorted) => id !== sorted[i - 1]?.id);
	if (eligible.length === 0) return NO_DISCOUNTS;
	const shipping = input.shipping?.price ?? 0;
	const apply = (promotions: readonly PricingPromotion[]) =>
		applyAll(promotions, input, subtotals, shipping);
	const combined = apply(eligible.filter(({ combinable }) => combinable));
	return eligible
		.filter(({ combinable }) => !combinable)
		.sort(byPriority)
		.map((promotion) => apply([promotion]))
		.reduce((best, single) => (single.total > best.total ? single : best), combined);
}

/** Position in the pipeline: promotions of lines, of the order, of shipping. */
function phaseOf(promotion: PricingPromotion): number {
	const { type } = promotion.effect;
	if (type === "free_shipping") return 2;
	return type === "buy_x_get_y" || hasTargets(promotion) ? 0 : 1;
}
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byPriority = (a: PricingPromotion, b: PricingPromotion): number =>
	b.priority - a.priority || compareText(a.id, b.id);
const byApplication = (a: PricingPromotion, b: PricingPromotion): number =>
	phaseOf(a) - phaseOf(b) || byPriority(a, b);

const limitOf = ({ max_discount = Number.MAX_SAFE_INTEGER }: PricingPromotion): number =>
	Math.max(0, max_discount);

/** Applies promotions one after another, each to what the previous ones left. */
function applyAll(
	promotions: readonly PricingPromotion[],
	context: Context,
	subtotals: readonly number[],
	shippingPrice: number,
): Discounts {
	const rest = [...subtotals];
	let shipping = 0;
	const adjustments: Adjustment[] = [];
	for (const promotion of promotions) {
		const { id: promotion_id, name, code } = promotion;
		const targets = targetsOf(promotion, context.lines);
		let amount = 0;
		if (promotion.effect.type === "free_shipping") {
			if (targets.length > 0) amount = Math.min(shippingPrice - shipping, limitOf(promotion));
			shipping += amount;
		} else {
			const parts = partsOf(promotion, targets, rest, context);
			for (const [i, position] of targets.entries()) {
				rest[position]! -= parts[i]!;
				amount += parts[i]!;
			}
		}
		if (amount > 0) adjustments.push({ promotion_id, name, code, amount });
	}
	const lines = subtotals.map((subtotal, i) => subtotal - rest[i]!);
	return { lines, shipping, total: sumOf(lines) + shipping, adjustments };
}

/** Discount of a promotion on each target, at most `rest` of the target. */
function partsOf(
	promotion: PricingPromotion,
	targets: readonly number[],
	rest: readonly number[],
	{ lines, rounding }: Context,
): readonly number[] {
	const { effect } = promotion;
	const limit = limitOf(promotion);
	const bases = targets.map((position) => rest[position]!);
	const compare = (a: number, b: number) =>
		compareText(lines[targets[a]!]!.product_id, lines[targets[b]!]!.product_id);
	const limited = (amount: number, weights: readonly number[]) =>
		allocate(Math.min(amount, limit), weights, compare);
	const base = sumOf(bases);
	switch (effect.type) {
		case "amount_off":
			return limited(Math.min(effect.value, base), bases);
		case "percent_off": {
			const rate = Math.round(effect.value * PERCENT);
			if (rounding === "total") return limited(shareOf(base, rate, WHOLE), bases);
			const parts = bases.map((amount) => shareOf(amount, rate, WHOLE));
			const total = sumOf(parts);
			return total > limit ? limited(total, bases) : parts;
		}
		case "buy_x_get_y": {
			const targeted = targets.map((position) => lines[position]!);
			const free = freePieces(targeted, effect.buy, effect.get);
			const parts = bases.map((amount, i) => shareOf(amount, free[i]!, targeted[i]!.quantity));
			const total = sumOf(parts);
			return total > limit ? limited(total, parts) : parts;
		}
		default:
			return bases.map(() => 0);
	}
}

/**
 * Number of free pieces of each line. The pieces of all lines are in descending order of their
 * price; of each complete group of `buy` + `get` pieces, the last `get` are free.
 */
function freePieces(lines: readonly PricingLine[], buy: number, get: number): number[] {
	const free = lines.map(() => 0);
	const size = buy + get;
	const pieces = lines.reduce((sum, { quantity }) => sum + quantity, 0);
	const grouped = pieces - (pieces % size);
	/** Number of free pieces before a position. */
	const freeBefore = (position: number) => {
		const end = Math.min(position, grouped);
		const inGroup = end % size;
		return ((end - inGroup) / size) * get + Math.max(0, inGroup - buy);
	};
	const positions = [...lines.keys()].sort(
		(a, b) =>
			lines[b]!.unit_price - lines[a]!.unit_price ||
			compareText(lines[a]!.product_id, lines[b]!.product_id),
	);
	let start = 0;
	for (const position of positions) {
		const end = start + lines[position]!.quantity;
		free[position] = freeBefore(end) - freeBefore(start);
		start = end;
	}
	return free;
}
