import type { ParamsOf, ResultOf } from "../../../../clients/typescript/src/index.ts";
import { linesOf, numberOf, textOf, timeOf } from "../../form-values.ts";
import { formatMoney } from "../../format.ts";

export type Promotion = ResultOf<"promotions.get">;
export type Effect = Promotion["effect"];
export type Kind = Effect["type"];
type NewPromotion = ParamsOf<"promotions.create">;

/** Kinds of promotions, with their labels. */
export const KINDS: Readonly<Record<Kind, string>> = {
	percent_off: "Percent off",
	amount_off: "Amount off",
	free_shipping: "Free shipping",
	buy_x_get_y: "Buy X, get Y free",
};

/** Describes the effect of a promotion: "10 % off". */
export function describeEffect({ type, value = 0, buy, get }: Effect, currency: string): string {
	switch (type) {
		case "percent_off":
			return `${value} % off`;
		case "amount_off":
			return `${formatMoney(value, currency)} off`;
		case "free_shipping":
			return "Free shipping";
		case "buy_x_get_y":
			return `Buy ${buy}, get ${get} free`;
	}
}

type State = "active" | "scheduled" | "ended" | "used up";
/** Whether orders can use a promotion now. @param now in milliseconds */
export function stateOf(
	{ starts_at, ends_at, is_exhausted }: Pick<Promotion, "starts_at" | "ends_at" | "is_exhausted">,
	now: number,
): State {
	if (ends_at !== null && Date.parse(ends_at) <= now) return "ended";
	if (starts_at !== null && Date.parse(starts_at) > now) return "scheduled";
	return is_exhausted ? "used up" : "active";
}

/**
 * Fields of a promotion as its form has them.
 * @param product_ids products that are chosen
 * @param before the promotion before the change
 */
export function readPromotion(
	values: FormData,
	product_ids: readonly string[],
	before?: Promotion,
): Required<NewPromotion> {
	const list = (name: string) => {
		const lines = linesOf(values, name);
		return lines.length > 0 ? { [name.slice("conditions.".length)]: lines } : {};
	};
	const min_subtotal = numberOf(values, "conditions.min_subtotal");
	const conditions = {
		...(min_subtotal === undefined ? {} : { min_subtotal }),
		...(product_ids.length > 0 ? { product_ids: [...product_ids] } : {}),
		...list("conditions.categories"),
		...(values.has("first_order") ? { first_order: true } : {}),
		...list("conditions.user_ids"),
	};
	return {
		name: textOf(values, "name"),
		code: textOf(values, "code") || null,
		effect: readEffect(values),
		currency: textOf(values, "currency").toUpperCase(),
		starts_at: timeOf(values, "starts_at", before?.starts_at),
		ends_at: timeOf(values, "ends_at", before?.ends_at),
		priority: numberOf(values, "priority") ?? 0,
		combinable: values.has("combinable"),
		conditions,
		usage_limit: numberOf(values, "usage_limit") ?? null,
		usage_limit_per_customer: numberOf(values, "usage_limit_per_customer") ?? null,
		budget: numberOf(values, "budget") ?? null,
	};
}

function readEffect(values: FormData): Effect {
	const type = textOf(values, "effect.type") as Kind;
	const [value, buy, get] = ["value", "buy", "get"].map((name) =>
		numberOf(values, `effect.${name}`),
	);
	return {
		type,
		...(value === undefined ? {} : { value }),
		...(buy === undefined ? {} : { buy }),
		...(get === undefined ? {} : { get }),
	};
}

/** Name of the input for a field that the shop has rejected: a list is one input. */
export const inputOf = (field: string): string =>
	field.replace(/^(conditions\.(?:categories|user_ids))\[\d+\]$/, "$1");
