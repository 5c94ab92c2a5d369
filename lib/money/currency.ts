/** Maximum amount in major units, of every currency. */
export const MONEY_MAX = 9_999_999_999.99;
/**
 * Most decimals that any currency of ISO 4217 has. Contracts reject amounts with more, and services
 * check the decimals of the currency itself.
 */
export const MAX_DIGITS = 4;
const SMALLEST_UNITS = 10 ** MAX_DIGITS;
/**
 * Decimals of most currencies; also of a code that Intl does not know, such as that of old rows.
 */
const COMMON_DIGITS = 2;

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));
/** Minor units per major unit of the known currencies, which bound its size. */
const scales = new Map<string, number>();

/** Whether Intl knows the code, in upper case. */
export const isCurrency = (currency: string): boolean => CURRENCIES.has(currency);

/** Decimals of a currency by Intl: 0 for JPY, 2 for EUR, 3 for BHD; 2 for an unknown code. */
export const digitsOf = (currency: string): number => Math.round(Math.log10(scaleOf(currency)));

/** Minor units per major unit of a currency: 1 for JPY, 100 for EUR, 1000 for BHD. */
export const scaleOf = (currency: string): number => scales.get(currency) ?? readScale(currency);

function readScale(currency: string): number {
	if (!isCurrency(currency)) return 10 ** COMMON_DIGITS;
	const format = new Intl.NumberFormat("en", { style: "currency", currency });
	const scale = 10 ** (format.resolvedOptions().maximumFractionDigits ?? COMMON_DIGITS);
	scales.set(currency, scale);
	return scale;
}

/**
 * Converts an amount in major units to an integer of minor units: 1.5 EUR is 150, 150 JPY is 150.
 * Rounds an amount with more decimals than its currency has, as Intl does for display.
 */
export const toMinorUnits = (amount: number, currency: string): number =>
	Math.round(amount * scaleOf(currency));

/** Converts minor units to an amount in major units, the double nearest to the decimal number. */
export const fromMinorUnits = (minor: number, currency: string): number =>
	minor / scaleOf(currency);

/**
 * Converts an amount to an integer of 10^-{@link MAX_DIGITS} major units. This is exact for every
 * currency, so it compares amounts whose currency is unknown.
 */
export const toSmallestUnits = (amount: number): number => Math.round(amount * SMALLEST_UNITS);
/** Converts the result of {@link toSmallestUnits} back to major units. */
export const fromSmallestUnits = (units: number): number => units / SMALLEST_UNITS;

/**
 * Largest amount of a currency in minor units: {@link MONEY_MAX} without the decimals that the
 * currency does not have.
 */
export const maxMinorUnits = (currency: string): number =>
	Math.floor(toSmallestUnits(MONEY_MAX) / (SMALLEST_UNITS / scaleOf(currency)));

/** Whether an amount in major units has no more decimals than its currency. */
export const fitsCurrency = (amount: number, currency: string): boolean =>
	fromMinorUnits(toMinorUnits(amount, currency), currency) === amount;
