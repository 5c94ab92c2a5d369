import { escapeLiteral } from "pg";
import { literal, Op, type WhereOptions } from "sequelize";
import { containsWords, type Words } from "./products.search.ts";

/** Filters of a list, as the database applies them. */
export interface Filter {
	readonly category?: {
		readonly path: string;
		/** Whether it has subcategories. A category without them is read in order of its index. */
		readonly isBranch: boolean;
	};
	readonly min_price?: number;
	readonly max_price?: number;
	readonly in_stock?: boolean;
	/** Values by attribute name: a product has one of the values of each attribute. */
	readonly attr?: { readonly [name: string]: readonly string[] };
	readonly words?: Words;
}
/** The filter of one facet, which does not narrow the facet itself. */
export type Facet = { readonly filter: "category" | "price" } | { readonly attribute: string };

/**
 * Condition of a filter for Sequelize, without variants.
 * @param except facet whose filter is left out
 */
export function matches(filter: Filter, except: Facet = { attribute: "" }): WhereOptions {
	const { category, min_price, max_price, in_stock, attr = {}, words } = filter;
	const [omitted, attribute] =
		"filter" in except ? [except.filter, undefined] : [undefined, except.attribute];
	const prices = [
		...(min_price === undefined ? [] : [{ price: { [Op.gte]: min_price } }]),
		...(max_price === undefined ? [] : [{ price: { [Op.lte]: max_price } }]),
	];
	return {
		[Op.and]: [
			{ parent_id: null },
			...(category && omitted !== "category" ? [isInCategory(category)] : []),
			...(omitted === "price" ? [] : prices),
			...(in_stock === undefined ? [] : [condition(in_stock ? "in_stock" : "not in_stock")]),
			...Object.entries(attr).flatMap(([name, values]) =>
				name === attribute ? [] : [hasValue(name, values)],
			),
			...(words ? [containsWords(words)] : []),
		],
	};
}

const PATH = 'category_path(category) collate "C"';
function isInCategory({ path, isBranch }: NonNullable<Filter["category"]>): WhereOptions {
	const text = escapeLiteral(path);
	return condition(
		isBranch
			? `${PATH} >= category_path(${text}) collate "C" ` +
					`and ${PATH} < (category_key(${text}) || '0') collate "C"`
			: `${PATH} = category_path(${text}) collate "C"`,
	);
}

const hasValue = (name: string, values: readonly string[]): WhereOptions =>
	condition(`facets && array[${values.map((value) => escapeLiteral(`${name}=${value}`)).join()}]`);

const condition = (sql: string): WhereOptions => literal(`(${sql})`) as unknown as WhereOptions;
