import { pricingPromotion } from "./major-units.ts";
import type { PricingPromotion } from "./pricing.ts";
import {
	customerLimitOf,
	customerOf,
	MAX_CODES,
	MAX_ELEMENTS,
	type PricingSources,
	type PromotionRecord,
	type UseToCount,
} from "./sources.ts";

/** Reason why a coupon code is not a candidate. Unknown includes ended and not yet started. */
export interface CouponProblem {
	readonly code: "COUPON_UNKNOWN" | "COUPON_USED_UP";
	readonly coupon_code: string;
}
/** Promotions that may discount a cart, and its other coupons. */
export interface Candidates {
	readonly promotions: readonly PricingPromotion[];
	readonly problems: readonly CouponProblem[];
	/** Whether the customer has ordered; false unless a candidate depends on it. */
	readonly has_ordered: boolean;
}
interface Buyer {
	readonly currency: string;
	readonly user_id: string | null;
	readonly email: string | null;
	readonly coupon_codes: readonly string[];
}
type Sources = Pick<PricingSources, "automatic" | "resolve" | "usage" | "haveOrdered">;

/**
 * Candidates of each cart: promotions without a code and those whose code the buyer entered, if
 * they are active, have no amounts in another currency, and are not used up, also not for the
 * customer.
 * @param now epoch milliseconds
 */
export async function findCandidates(
	sources: Sources,
	carts: readonly Buyer[],
	now: number,
): Promise<Candidates[]> {
	const [automatic, byCode] = await Promise.all([sources.automatic(), byCodes(sources, carts)]);
	const isActive = (one: PromotionRecord) => isActiveAt(one, now);
	const running = automatic.filter((one) => isActive(one) && !one.is_exhausted);
	const found = carts.map((cart) => {
		const coupons = cart.coupon_codes.map((coupon_code) => {
			const promotion = byCode.get(normalizedCode(coupon_code));
			const isUsable =
				promotion && isActive(promotion) && pricingPromotion(promotion, cart.currency);
			return { coupon_code, promotion: isUsable ? promotion : undefined };
		});
		const entered = coupons.flatMap(({ promotion }) => promotion ?? []);
		const usable = entered.filter(({ is_exhausted }) => !is_exhausted);
		return { cart, coupons, promotions: distinct([...running, ...usable]) };
	});
	if (found.every(({ coupons, promotions }) => coupons.length + promotions.length === 0))
		return carts.map(() => NONE);

	const [isUsedUp, hasOrdered] = await Promise.all([
		findUsedUp(sources, found),
		findHaveOrdered(sources, found),
	]);
	return found.map(({ cart, coupons, promotions }) => ({
		promotions: promotions
			.filter((one) => !isUsedUp(cart, one))
			.flatMap((one) => pricingPromotion(one, cart.currency) ?? []),
		problems: coupons.flatMap(({ coupon_code, promotion }): CouponProblem[] => {
			if (!promotion) return [{ code: "COUPON_UNKNOWN", coupon_code }];
			const usedUp = promotion.is_exhausted || isUsedUp(cart, promotion);
			return usedUp ? [{ code: "COUPON_USED_UP", coupon_code }] : [];
		}),
		has_ordered: hasOrdered(cart),
	}));
}
const NONE: Candidates = { promotions: [], problems: [], has_ordered: false };

/**
 * Whether a promotion has started and has not ended: `starts_at` is inclusive, `ends_at` exclusive.
 * @param now epoch milliseconds
 */
export const isActiveAt = (
	{ starts_at, ends_at }: Pick<PromotionRecord, "starts_at" | "ends_at">,
	now: number,
): boolean =>
	(starts_at === null || Date.parse(starts_at) <= now) &&
	(ends_at === null || now < Date.parse(ends_at));

/** Key of a coupon code: codes are case-insensitive. */
const normalizedCode = (code: string) => code.toLowerCase();

async function byCodes({ resolve }: Sources, carts: readonly Buyer[]) {
	const codes = unique(
		carts.flatMap(({ coupon_codes }) => coupon_codes.map((code) => normalizedCode(code))),
	);
	const promotions = await inChunks(codes, MAX_CODES, resolve);
	return new Map(codes.map((code, i) => [code, promotions[i] ?? undefined]));
}

interface Found {
	readonly cart: Buyer;
	readonly promotions: readonly PromotionRecord[];
}
/** Finds the promotions whose limit per customer the customer has reached. */
async function findUsedUp({ usage }: Sources, found: readonly Found[]) {
	const limited = found.flatMap(({ cart, promotions }) => {
		const customer = customerOf(cart);
		if (customer === null) return [];
		return promotions.flatMap((promotion) => {
			const limit = customerLimitOf(promotion);
			const use = { customer, promotion_id: promotion.id };
			return limit === null ? [] : { use, limit };
		});
	});
	const uses = new Map(limited.map((one) => [useKey(one.use), one]));
	const counts = await inChunks(
		[...uses.values()].map(({ use }) => use),
		MAX_ELEMENTS,
		usage,
	);
	const usedUp = new Set([...uses].filter(([, { limit }], i) => counts[i]! >= limit).map(first));
	return (cart: Buyer, { id }: PromotionRecord) =>
		usedUp.has(useKey({ customer: customerOf(cart) ?? "", promotion_id: id }));
}
const useKey = ({ customer, promotion_id }: UseToCount) => `${promotion_id} ${customer}`;

/** Finds whether customers have ordered, if a promotion depends on it. */
async function findHaveOrdered({ haveOrdered }: Sources, found: readonly Found[]) {
	const customers = unique(
		found
			.filter(({ promotions }) => promotions.some(({ conditions }) => conditions.first_order))
			.flatMap(({ cart }) => customerOf(cart) ?? []),
	);
	const results = await inChunks(customers, MAX_ELEMENTS, haveOrdered);
	const ordered = new Set(customers.filter((_, i) => results[i]));
	return (cart: Buyer) => ordered.has(customerOf(cart) ?? "");
}

/** Calls `load` with at most `size` elements at a time; not at all without elements. */
async function inChunks<T, R>(
	all: readonly T[],
	size: number,
	load: (chunk: T[]) => Promise<readonly R[]>,
): Promise<R[]> {
	const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
		all.slice(i * size, (i + 1) * size),
	);
	return (await Promise.all(chunks.map((chunk) => load(chunk)))).flat();
}
const unique = <T>(all: readonly T[]): T[] => [...new Set(all)];
const first = <T>([value]: readonly [T, ...unknown[]]): T => value;
const distinct = (all: readonly PromotionRecord[]): PromotionRecord[] => [
	...new Map(all.map((one) => [one.id, one])).values(),
];
