import {
	fromMinorUnits,
	fromSmallestUnits,
	toMinorUnits,
	toSmallestUnits,
} from "../../lib/money/currency.ts";

/**
 * Converts an amount to minor units of its currency. A tombstone has no currency; its amounts have
 * the smallest unit of all currencies.
 */
export const toUnits = (amount: number, currency: string): number =>
	currency === "" ? toSmallestUnits(amount) : toMinorUnits(amount, currency);

/** Converts the result of {@link toUnits} back to major units. */
export const fromUnits = (units: number, currency: string): number =>
	currency === "" ? fromSmallestUnits(units) : fromMinorUnits(units, currency);
