/** Whether a number is a non-negative integer that a double represents exactly. */
export const isAmount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/**
 * `amount` × `numerator` / `denominator`, rounded half up. Exact for non-negative safe integers
 * whose result is a safe integer.
 */
export function shareOf(amount: number, numerator: number, denominator: number): number {
	const [quotient, remainder] = divide(amount, numerator, denominator);
	return remainder * 2 >= denominator ? quotient + 1 : quotient;
}

/**
 * Divides an amount in proportion to the weights by largest remainder, so that the parts add up to
 * the amount. If the amount is at most the sum of the weights, no part exceeds its weight.
 * @param compare order of two positions with equal remainders. The first ones get a unit more.
 */
export function allocate(
	amount: number,
	weights: readonly number[],
	compare: (a: number, b: number) => number,
): number[] {
	const sum = sumOf(weights);
	const parts: number[] = [];
	const remainders: number[] = [];
	let left = sum === 0 ? 0 : amount;
	for (const weight of weights) {
		const [part, remainder] = sum === 0 ? [0, 0] : divide(amount, weight, sum);
		parts.push(part);
		remainders.push(remainder);
		left -= part;
	}
	if (left > 0) {
		const positions = [...weights.keys()];
		positions.sort((a, b) => remainders[b]! - remainders[a]! || compare(a, b));
		for (const position of positions.slice(0, left)) parts[position]!++;
	}
	return parts;
}

/** Sum of integers in minor units; 0 without values. */
export function sumOf(values: readonly number[]): number {
	let sum = 0;
	for (const value of values) sum += value;
	return sum;
}

/** Integer quotient and remainder of `a` × `b` / `divisor`. */
function divide(a: number, b: number, divisor: number): readonly [number, number] {
	const product = a * b;
	if (product <= Number.MAX_SAFE_INTEGER) {
		// The division is exact without the remainder. Rounding down the quotient would not be.
		const remainder = product % divisor;
		return [(product - remainder) / divisor, remainder];
	}
	const [exact, by] = [BigInt(a) * BigInt(b), BigInt(divisor)];
	return [Number(exact / by), Number(exact % by)];
}
