import { escapeLiteral } from "pg";
import type { Model, ModelStatic } from "sequelize";
import type { Infer } from "../../lib/contracts/schema.ts";
import { approximateCount, estimateCount } from "../../lib/persistence/approximate-count.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import { selectColumns } from "../../lib/persistence/sequelize-internals.ts";
import type { facets } from "./products.contract.shapes.ts";
import { type Facet, type Filter, matches } from "./products.filters.ts";

type Facets = Infer<typeof facets>;

/**
 * Number of matches up to which all are counted. Of more matches, those among a sample of the
 * products are counted, because the time of a count grows with the matches.
 */
const LIMITS = { exactUpTo: 15_000, sampleSize: 12_000 };
/** Most frequent values and categories that are counted, and values per attribute. */
const MAX_VALUES = 5000;
const MAX_VALUES_PER_ATTRIBUTE = 100;
const MAX_ATTRIBUTES = 50;
const MAX_CATEGORIES = 1000;

/** Columns that filters and counts read. */
const COLUMNS = [
	"id",
	"price",
	"category",
	"facets",
	"terms",
	"in_stock",
	"parent_id",
	"deleted_at",
];

interface Counted {
	readonly name: string;
	readonly count: number;
}
export interface Source {
	readonly db: Queryable;
	readonly model: ModelStatic<Model>;
	readonly filter: Filter;
	/** {@link LIMITS} by default. */
	readonly limits?: typeof LIMITS;
}

/**
 * Counts the values of each facet among the products that match the filter. The filter of a facet
 * does not narrow the facet itself. Counts of many matches are estimates from a sample, in which a
 * rare value may be missing.
 */
export async function countFacets(source: Source): Promise<Facets> {
	const { db, model, filter } = source;
	const filtered = Object.keys(filter.attr ?? {});
	const [total, price, categories, others, ...own] = await Promise.all([
		approximateCount(db, selectColumns(model, ["id"], matches(filter))),
		priceBounds(source),
		countCategories(source),
		countValues(source),
		...filtered.map((attribute) => countValues(source, attribute)),
	]);
	// Attributes of the filter come first, because the number of attributes is limited.
	const values = [
		...own.flat(),
		...others.filter(({ name }) => !filtered.includes(attributeOf(name))),
	];
	return { total, price, categories, attributes: byAttribute(values) };
}

/** Lowest and highest price, null if no product matches. Read from the index of prices. */
async function priceBounds({ db, model, filter }: Source): Promise<Facets["price"]> {
	const all = selectColumns(model, ["price"], matches(filter, { filter: "price" }));
	const [row] = await db.query<Facets["price"]>(
		`select (${all} order by price, id limit 1) as min, ` +
			`(${all} order by price desc, id desc limit 1) as max`,
	);
	return row!;
}

async function countCategories(source: Source): Promise<Facets["categories"]> {
	const counted = await count(
		source,
		{ filter: "category" },
		`select min(category) as name, count(*) as count from matched group by category_key(category)
		order by count desc, name limit ${MAX_CATEGORIES}`,
	);
	return counted.map(({ name, count }) => ({ path: name, count }));
}

/** Counts values as `name=value`: of all attributes, or of one without its own filter. */
const countValues = (source: Source, attribute?: string): Promise<Counted[]> =>
	count(
		source,
		{ attribute: attribute ?? "" },
		`select value as name, count(*) as count from matched cross join unnest(facets) as value
		${attribute === undefined ? "" : `where starts_with(value, ${escapeLiteral(`${attribute}=`)})`}
		group by value order by count desc, name limit ${MAX_VALUES}`,
	);

/**
 * Runs a query that counts rows of `matched`: of all matches, or of those among a sample, scaled to
 * the whole catalogue.
 */
async function count(source: Source, except: Facet, query: string): Promise<Counted[]> {
	const { db, model, filter, limits: { exactUpTo, sampleSize } = LIMITS } = source;
	const matched = selectColumns(model, COLUMNS, matches(filter, except));
	const isExact = (await estimateCount(db, matched)) <= exactUpTo;
	const products = isExact ? 0 : await estimateCount(db, "select from products");
	if (products <= sampleSize) return db.query<Counted>(`with matched as (${matched}) ${query}`);
	const percent = (100 * sampleSize) / products;
	// The sample takes the name of the table, which the filter reads.
	const counted = await db.query<Counted>(
		`with products as materialized (
			select ${COLUMNS.join()} from products tablesample system (${percent}) repeatable (1)),
		matched as (${matched}) ${query}`,
	);
	return counted.map(({ name, count }) => ({ name, count: Math.round((count * 100) / percent) }));
}

const attributeOf = (value: string): string => value.slice(0, value.indexOf("="));

/** Groups values by attribute. Returns the first attributes, sorted by name. */
function byAttribute(values: readonly Counted[]): Facets["attributes"] {
	const groups = Map.groupBy(values, ({ name }) => attributeOf(name));
	const sorted = [...groups].slice(0, MAX_ATTRIBUTES).sort(([a], [b]) => (a < b ? -1 : 1));
	return Object.fromEntries(
		sorted.map(([attribute, counted]) => [
			attribute,
			counted.slice(0, MAX_VALUES_PER_ATTRIBUTE).map(({ name, count }) => ({
				value: name.slice(attribute.length + 1),
				count,
			})),
		]),
	);
}
