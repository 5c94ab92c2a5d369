import { assertDecimals } from "../../lib/contracts/decimals.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { fromSmallestUnits, isCurrency, toSmallestUnits } from "../../lib/money/currency.ts";
import type { applicable, fields, promotion } from "./promotions.contract.ts";

export type Promotion = Infer<typeof promotion>;
export type Applicable = Infer<typeof applicable>;
/** Fields that an administrator sets. */
export type Fields = Infer<typeof fields>;
type Effect = Fields["effect"];
type Conditions = Fields["conditions"];

/**
 * Canonical form of the fields of a promotion.
 * @throws VALIDATION_ERROR for fields that do not fit together
 */
export function checkedFields(promotion: Fields): Fields {
	const { starts_at, ends_at, currency, effect, budget } = promotion;
	if (!isCurrency(currency))
		throw invalidField("currency", "CURRENCY", `${currency} is not an ISO 4217 currency`);
	if (starts_at && ends_at && Date.parse(ends_at) <= Date.parse(starts_at))
		throw invalidField("ends_at", "RANGE", "ends_at must be after starts_at");
	const conditions = checkedConditions(promotion.conditions, currency);
	assertEffect(effect, currency);
	if (budget !== null) assertDecimals("budget", budget, currency);
	return { ...promotion, conditions };
}

/**
 * Asserts that a change keeps the currency, even of a promotion without uses: an order that was
 * priced in it may not be redeemed yet, and its discount would be added to amounts of another one.
 * @throws VALIDATION_ERROR if the currency would change
 */
export function assertSameCurrency(before: Promotion, after: Fields): void {
	if (after.currency !== before.currency)
		throw invalidField(
			"currency",
			"IN_USE",
			"The currency cannot change, because orders may use the promotion: create another one",
		);
}

/** Parameters of each effect. */
const PARAMETERS: Record<Effect["type"], readonly string[]> = {
	percent_off: ["value"],
	amount_off: ["value"],
	free_shipping: [],
	buy_x_get_y: ["buy", "get"],
};

function assertEffect(effect: Effect, currency: string): void {
	const { type, value = 0 } = effect;
	for (const name of ["value", "buy", "get"] as const) {
		const [isGiven, isRequired] = [effect[name] !== undefined, PARAMETERS[type].includes(name)];
		if (isRequired && !isGiven)
			throw invalidField(`effect.${name}`, "REQUIRED", `The effect ${type} requires '${name}'`);
		if (isGiven && !isRequired)
			throw invalidField(`effect.${name}`, "UNEXPECTED", `The effect ${type} has no '${name}'`);
	}
	if (type === "percent_off" && !(value > 0 && value <= 100))
		throw invalidField(
			"effect.value",
			"PERCENT",
			"The percentage must be more than 0 and at most 100",
		);
	if (type === "percent_off" && fromSmallestUnits(toSmallestUnits(value)) !== value)
		throw invalidField("effect.value", "PERCENT", "The percentage can have at most 4 decimals");
	if (type !== "amount_off") return;
	if (value === 0) throw invalidField("effect.value", "MONEY", "The amount must be more than 0");
	assertDecimals("effect.value", value, currency);
}

function checkedConditions(conditions: Conditions, currency: string): Conditions {
	const { min_subtotal, categories } = conditions;
	if (min_subtotal !== undefined) assertDecimals("conditions.min_subtotal", min_subtotal, currency);
	return categories ? { ...conditions, categories: categories.map(categoryPath) } : conditions;
}

/** A category path without spaces around its parts, as products have it. */
function categoryPath(category: string, i: number): string {
	const parts = category.split("/").map((part) => part.trim());
	if (parts.includes(""))
		throw invalidField(
			`conditions.categories[${i}]`,
			"CATEGORY",
			"A category must not contain an empty part",
		);
	return parts.join("/");
}
