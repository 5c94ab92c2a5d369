import { isDeepStrictEqual } from "node:util";
import { throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { digitsOf, fitsCurrency, isCurrency } from "../../lib/money/currency.ts";
import {
	type changes,
	inherited,
	type newVariant,
	type product,
} from "./products.contract.shapes.ts";
import { products } from "./products.contract.ts";

export type Product = Infer<typeof product>;
/** Fields of a product that can change. */
export type Changes = Infer<typeof changes>;
export type ChangedFields = Omit<Changes, "inherit">;

/**
 * Distinct words of a query: runs of letters, marks and digits. All other characters, such as
 * operators of text search, separate words.
 */
export const searchWords = (query: string): string[] => [
	...new Set(query.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []),
];

/** @throws VALIDATION_ERROR for an unknown currency or a price with too many decimals for it */
export function assertPrice({ price, currency }: { price: number; currency: string }): void {
	if (!isCurrency(currency))
		throw invalidField("currency", "CURRENCY", `${currency} is not an ISO 4217 currency`);
	if (!fitsCurrency(price, currency))
		throw invalidField(
			"price",
			"MONEY",
			`A price in ${currency} can have at most ${digitsOf(currency)} decimals`,
		);
}

/** Separates the parts of a category, as in `Kitchen/Knives`. */
export const CATEGORY_SEPARATOR = "/";
export const MAX_CATEGORY_DEPTH = 8;
export const MAX_CATEGORY_LENGTH = products.actions.create.params.category.max;

/** A category path without spaces around its parts. */
export const trimmedCategory = (category: string): string =>
	category
		.split(CATEGORY_SEPARATOR)
		.map((part) => part.trim())
		.join(CATEGORY_SEPARATOR);

/**
 * Canonical form of a category path: without spaces around its parts.
 * @throws VALIDATION_ERROR for an empty part, or more than MAX_CATEGORY_DEPTH parts
 */
export function categoryPath(category: string, field = "category"): string {
	const path = trimmedCategory(category);
	const parts = path.split(CATEGORY_SEPARATOR);
	if (parts.includes(""))
		throw invalidField(field, "CATEGORY", "A category must not contain an empty part");
	if (parts.length > MAX_CATEGORY_DEPTH)
		throw invalidField(
			field,
			"CATEGORY",
			`A category can have at most ${MAX_CATEGORY_DEPTH} levels`,
		);
	return path;
}

/** Maximum number of variants of a product. */
export const MAX_VARIANTS = 100;
/** Fields that a variant inherits from its parent. */
export const INHERITED = Object.keys(inherited) as (keyof typeof inherited)[];

/**
 * Row of a new variant: the fields that it defines, and those of its parent.
 * @throws VALIDATION_ERROR if the options do not match the parent's option names; TOO_MANY_VARIANTS
 */
export function variantOf(parent: Product, own: Infer<typeof newVariant>) {
	assertOptions(parent, own.options);
	if (parent.variant_count >= MAX_VARIANTS) throwError(products, "TOO_MANY_VARIANTS");
	const { category, ...rest } = own;
	const values = {
		...rest,
		...(category === undefined ? {} : { category: categoryPath(category) }),
	};
	const { name, description, price, currency, attributes, images } = parent;
	const row = {
		...{ name, description, price, currency, category: parent.category, attributes, images },
		sku: null,
		...values,
		parent_id: parent.id,
	};
	assertPrice(row);
	return { ...row, own_fields: ownFields(Object.keys(own)) };
}

/** The given fields that a variant can inherit. A price is in the currency of its product. */
export function ownFields(fields: readonly string[]): string[] {
	const isMoney = fields.includes("price") || fields.includes("currency");
	return INHERITED.filter(
		(field) => fields.includes(field) || (isMoney && (field === "price" || field === "currency")),
	);
}

/** @throws VALIDATION_ERROR unless the options have a value for each option name of the parent */
export function assertOptions({ option_names }: Product, options: object): void {
	const names = Object.keys(options);
	const isMatch =
		option_names?.length === names.length &&
		option_names.every((name) => Object.hasOwn(options, name));
	if (isMatch) return;
	throw invalidField(
		"options",
		"OPTIONS",
		option_names
			? `Give a value for each of these options: ${option_names.join(", ")}`
			: "The product has no option names, so it can have no variants",
	);
}

/**
 * Canonical form of requested changes.
 * @throws VALIDATION_ERROR for an invalid category or repeated option names
 */
export function normalizedChanges(changes: Changes): Changes {
	assertOptionNames(changes);
	return changes.category === undefined
		? changes
		: { ...changes, category: categoryPath(changes.category) };
}

/**
 * Checks whether a product can have the changed options and option names.
 * @param parent of a variant
 * @throws VALIDATION_ERROR, HAS_VARIANTS
 */
export function assertChanges(
	changes: Changes,
	before: Product,
	parent: Product | undefined,
): void {
	const { options, option_names, inherit = [], ...fields } = changes;
	if (inherit.length > 0 && !parent)
		throw invalidField("inherit", "INHERIT", "Only a variant inherits fields");
	const own = ownFields(Object.keys(fields));
	const both = ownFields(inherit).find((field) => own.includes(field));
	if (both)
		throw invalidField("inherit", "INHERIT", `The request sets ${both} and inherits it as well`);
	if (options && !parent) throw invalidField("options", "OPTIONS", "Only a variant has options");
	if (options) assertOptions(parent!, options);
	if (option_names && parent)
		throw invalidField("option_names", "OPTION_NAMES", "A variant cannot have variants");
	if (option_names !== undefined && before.variant_count > 0) {
		const unchanged = isDeepStrictEqual(option_names, before.option_names);
		if (!unchanged) throwError(products, "HAS_VARIANTS");
	}
}

/** The fields of changes with the values that a variant inherits again, and which it inherits. */
export function withInherited(
	{ inherit = [], ...fields }: Changes,
	parent: Product | undefined,
): { readonly fields: ChangedFields; readonly inherit: readonly string[] } {
	const names = ownFields(inherit) as (typeof INHERITED)[number][];
	const values = Object.fromEntries(names.map((name) => [name, parent?.[name]]));
	return { fields: { ...fields, ...values }, inherit: names };
}

/** @throws VALIDATION_ERROR if two option names are the same */
export function assertOptionNames({ option_names }: { option_names?: string[] | null }): void {
	if (option_names && new Set(option_names).size < option_names.length)
		throw invalidField("option_names", "DUPLICATE", "Option names must differ from each other");
}

/** @throws VALIDATION_ERROR if `min_price` exceeds `max_price` */
export function assertRange({
	min_price,
	max_price,
}: {
	min_price?: number;
	max_price?: number;
}): void {
	if (min_price !== undefined && max_price !== undefined && min_price > max_price)
		throw invalidField("min_price", "RANGE", "min_price must not exceed max_price");
}
