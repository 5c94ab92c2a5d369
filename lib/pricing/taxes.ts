import { allocate, shareOf, sumOf } from "./integers.ts";
import type { PricingInput, TaxRate, TaxTotal } from "./pricing.ts";

export interface Taxes {
	/** Tax of each line, in the order of the lines. */
	readonly lines: readonly number[];
	readonly shipping: number;
	readonly total: number;
	readonly totals: readonly TaxTotal[];
}
/** Tax rates have six decimals and are calculated as integers: 100 % is a million. */
const WHOLE = 1_000_000;

/** Lines and shipping with the same name and rate of tax. */
interface Group extends TaxRate {
	/** The rate in millionths. */
	readonly millionths: number;
	/** Positions of lines. That of shipping is the number of lines. */
	readonly positions: number[];
	readonly bases: number[];
}

/**
 * Taxes on the charged amounts.
 * @param bases subtotal − discount of each line, then of shipping
 */
export function taxesOf(input: PricingInput, bases: readonly number[]): Taxes {
	const { lines, tax, rounding } = input;
	const amounts = bases.map(() => 0);
	const totals = groupsOf(input, bases).map(({ name, rate, ...group }) => {
		const taxOf = (base: number) =>
			tax.prices_include_tax
				? shareOf(base, group.millionths, WHOLE + group.millionths)
				: shareOf(base, group.millionths, WHOLE);
		const compare = (a: number, b: number) =>
			compareProducts(input, group.positions[a]!, group.positions[b]!);
		const parts =
			rounding === "line"
				? group.bases.map(taxOf)
				: allocate(taxOf(sumOf(group.bases)), group.bases, compare);
		for (const [i, position] of group.positions.entries()) amounts[position] = parts[i]!;
		return { name, rate, amount: sumOf(parts) };
	});
	const shipping = amounts[lines.length]!;
	return { lines: amounts, shipping, total: sumOf(amounts), totals };
}

/** Groups with an amount to tax, by descending rate. */
function groupsOf({ tax }: PricingInput, bases: readonly number[]): Group[] {
	const groups: Group[] = [];
	for (const [position, base] of bases.entries()) {
		const found = position < tax.lines.length ? tax.lines[position]! : tax.shipping;
		if (!found || base === 0) continue;
		const { name, rate } = found;
		const millionths = Math.round(rate * WHOLE);
		let group = groups.find((other) => other.millionths === millionths && other.name === name);
		if (!group) {
			group = { name, rate, millionths, positions: [], bases: [] };
			groups.push(group);
		}
		group.positions.push(position);
		group.bases.push(base);
	}
	return groups.sort((a, b) => b.millionths - a.millionths || (a.name < b.name ? -1 : 1));
}

/** Order of positions by product, with shipping last. */
function compareProducts({ lines }: PricingInput, a: number, b: number): number {
	const [first, second] = [lines[a]?.product_id, lines[b]?.product_id];
	if (first === second) return 0;
	if (first === undefined || second === undefined) return first === undefined ? 1 : -1;
	return first < second ? -1 : 1;
}
