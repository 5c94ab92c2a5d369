const number = new Intl.NumberFormat();
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const currencies = new Map<string, Intl.NumberFormat>();

export const formatNumber = (value: number): string => number.format(value);

/** @param amount in major units */
export function formatMoney(amount: number, currency: string): string {
	const format =
		currencies.get(currency) ?? new Intl.NumberFormat(undefined, { style: "currency", currency });
	currencies.set(currency, format);
	return format.format(amount);
}

/** @param time in RFC 3339 */
export const formatTime = (time: string): string => moment.format(new Date(time));

/** Rounds to three significant digits: 12.3. */
const round = (value: number): string => number.format(Number(value.toPrecision(3)));

/** A duration in the unit that suits it: 12.3 ms, 4 s, 5 min, 3 h, 2 d. */
export function formatSeconds(seconds: number): string {
	if (seconds < 1) return `${round(seconds * 1000)} ms`;
	if (seconds < 120) return `${round(seconds)} s`;
	if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
	if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86_400)} d`;
}

/** Events per second, with fewer digits for larger values. */
export const formatRate = (perSecond: number): string => `${round(perSecond)}/s`;

/** @param share between 0 and 1 */
export const formatShare = (share: number): string => `${round(share * 100)} %`;

/** A tax rate as a percentage: 0.19 is 19. A rate has at most 6 decimals. */
export const percentOf = (rate: number): number => Number((rate * 100).toFixed(4));
/** @param rate of a tax. Keeps all decimals: 8.875 % */
export const formatTaxRate = (rate: number): string => `${percentOf(rate)} %`;

/** "payment_pending" as "payment pending". */
export const words = (name: string): string => name.replaceAll(/[._]/g, " ");
