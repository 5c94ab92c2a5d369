import type { PricingCustomer, PricingLine, PricingPromotion } from "./pricing.ts";

const SEPARATOR = "/";

/** Whether the conditions of a promotion hold, except those on the products of the cart. */
export function isEligible(
	{ conditions }: PricingPromotion,
	subtotal: number,
	{ user_id, has_ordered }: PricingCustomer,
): boolean {
	const { min_subtotal, first_order, user_ids } = conditions;
	return (
		(min_subtotal === undefined || subtotal >= min_subtotal) &&
		!(first_order && has_ordered) &&
		(user_ids === undefined || (user_id !== null && user_ids.includes(user_id)))
	);
}

/** Whether a promotion applies to certain products, rather than to all lines together. */
export const hasTargets = ({ conditions }: PricingPromotion): boolean =>
	conditions.product_ids !== undefined || conditions.categories !== undefined;

/**
 * Positions of the lines that a promotion applies to: those that match one of its products or
 * categories, or all lines if it has no targets.
 */
export function targetsOf(promotion: PricingPromotion, lines: readonly PricingLine[]): number[] {
	const positions = [...lines.keys()];
	if (!hasTargets(promotion)) return positions;
	const { product_ids = [], categories = [] } = promotion.conditions;
	const products = new Set(product_ids);
	const branches = new Set(categories.map(categoryKey));
	return positions.filter((position) => {
		const { product_id, category, parent_id } = lines[position]!;
		if (products.has(product_id) || (parent_id && products.has(parent_id))) return true;
		if (category === null || branches.size === 0) return false;
		return branchesOf(category).some((branch) => branches.has(branch));
	});
}

/**
 * Key of a category path, which is case-insensitive. Equal to that of the products' categories:
 * without spaces around the parts, in Unicode form NFKC.
 */
const categoryKey = (category: string): string =>
	category
		.split(SEPARATOR)
		.map((part) => part.trim())
		.join(SEPARATOR)
		.normalize("NFKC")
		.toLowerCase();

/** Keys of all branches that contain a category, longest first: "A/B" is in "a/b" and "a". */
export function branchesOf(category: string): string[] {
	const parts = categoryKey(category).split(SEPARATOR);
	return parts.map((_, i) => parts.slice(0, parts.length - i).join(SEPARATOR));
}
