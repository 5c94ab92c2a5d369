import { digitsOf, fitsCurrency } from "../money/currency.ts";
import { invalidField } from "./errors.ts";

/**
 * Checks an amount in major units. Contracts accept the decimals of any currency.
 * @throws VALIDATION_ERROR for more decimals than the currency has
 */
export function assertDecimals(field: string, amount: number, currency: string): void {
	if (!fitsCurrency(amount, currency))
		throw invalidField(
			field,
			"MONEY",
			`An amount in ${currency} can have at most ${digitsOf(currency)} decimals`,
		);
}
