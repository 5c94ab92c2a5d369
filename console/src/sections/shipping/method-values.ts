import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { numberOf, rowsOf, textOf } from "../../form-values.ts";

export type Method = ResultOf<"shipping.methods">[number];
export type Tier = Method["tiers"][number];

/** Fields of a shipping method as its form has them, except its code. */
export const readMethod = (values: FormData) => ({
	name: textOf(values, "name"),
	countries: textOf(values, "countries")
		.toUpperCase()
		.split(/[\s,]+/)
		.filter((country) => country !== ""),
	currency: textOf(values, "currency").toUpperCase(),
	price: numberOf(values, "price") ?? 0,
	free_from: numberOf(values, "free_from") ?? null,
	tiers: rowsOf(values, "tiers").map(tierOf),
	position: numberOf(values, "position") ?? 0,
});

const tierOf = (row: Readonly<Record<string, string>>): Tier => ({
	...(row.up_to_subtotal ? { up_to_subtotal: Number(row.up_to_subtotal) } : {}),
	...(row.up_to_weight ? { up_to_weight: Number(row.up_to_weight) } : {}),
	price: Number(row.price),
});

/** Name of the input for a field that the shop has rejected. */
export const inputOf = (field: string): string =>
	field
		.replace(/^countries\[\d+\]$/, "countries")
		// The tier has no limit.
		.replace(/^tiers\[\d+\]$/, "$&.up_to_subtotal");
