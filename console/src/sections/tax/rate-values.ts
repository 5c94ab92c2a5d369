import type { ParamsOf, ResultOf } from "../../../../clients/typescript/src/index.ts";
import { isProblem, ProblemError } from "../../../../clients/typescript/src/index.ts";
import { rowsOf } from "../../form-values.ts";
import { formatTaxRate, percentOf } from "../../format.ts";

export type Rate = ResultOf<"tax.rates">[number];
type Rates = ParamsOf<"tax.setRates">["rates"];

/** Fraction of a percentage. Keeps surplus decimals, so that the shop rejects them. */
const fractionOf = (percent: string): number => {
	const rounded = Number((Number(percent) / 100).toFixed(6));
	return percentOf(rounded) === Number(percent) ? rounded : Number(percent) / 100;
};

/** Rates as the rows of the form have them. */
export const readRates = (values: FormData): Rates =>
	rowsOf(values, "").map(({ country = "", region, category, name = "", rate = "" }) => ({
		country: country.toUpperCase(),
		region: region || null,
		category: category || null,
		name,
		rate: fractionOf(rate),
	}));

const describe = ({ country, region, category, name, rate }: Rate): string =>
	[country, region, category, name, formatTaxRate(rate)].filter(Boolean).join(", ");

/** Describes the rates that only one of two versions of the table has. */
export function rateChanges(
	before: readonly Rate[],
	after: readonly Rate[],
): { readonly added: readonly string[]; readonly removed: readonly string[] } {
	const [old, current] = [new Set(before.map(describe)), new Set(after.map(describe))];
	return {
		added: [...current].filter((rate) => !old.has(rate)),
		removed: [...old].filter((rate) => !current.has(rate)),
	};
}

/** A problem with its error at the rows that it concerns. Returns other errors unchanged. */
export function atRows(error: unknown): unknown {
	if (!isProblem(error, "DUPLICATE_RATE") || !Array.isArray(error.data.positions)) return error;
	const positions: number[] = error.data.positions;
	const errors = positions.map((position, i) => ({
		field: `[${position}].country`,
		code: "DUPLICATE_RATE",
		message: `Row ${positions[1 - i]! + 1} has the same country, region and category`,
	}));
	const { status, code, detail, headers, attempts } = error;
	return new ProblemError(status, { code, detail, errors }, headers, attempts);
}
