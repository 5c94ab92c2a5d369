import {
	col,
	DataTypes,
	fn,
	literal,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	Op,
	type Sequelize,
	type WhereOptions,
	where,
} from "sequelize";
import { estimateCount } from "../../lib/persistence/approximate-count.ts";
import { type Queryable, sql } from "../../lib/persistence/database.ts";
import type { product } from "./products.contract.ts";

/** What the catalogue shows of a product. */
const columns: Record<keyof typeof product, ModelAttributes[string]> = {
	id: { type: DataTypes.UUID, primaryKey: true },
	name: DataTypes.TEXT,
	description: DataTypes.TEXT,
	price: DataTypes.DECIMAL,
	currency: DataTypes.TEXT,
	category: DataTypes.TEXT,
	sku: DataTypes.TEXT,
	created_at: DataTypes.DATE,
	updated_at: DataTypes.DATE,
};

/** The products that are in the catalogue; through this model nobody sees the others. */
export const defineProduct = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("product", columns, {
		tableName: "products",
		defaultScope: { where: { deleted_at: null } },
	});

export interface Filter {
	readonly category?: string;
	readonly min_price?: number;
	readonly max_price?: number;
	/**
	 * Each of them must occur, as the beginning of a word or as its English stem; stop words only if
	 * there are no others. Nothing matches an empty list.
	 */
	readonly words?: readonly string[];
}
/** Of so many products or fewer with some words all are looked at. Of more, there are enough on the way through the catalogue in the order of the page. */
const FEW = 1000;

/** @param words runs of letters and digits, and nothing else: quoted, they are text in SQL and single words in a tsquery */
const queryFor = (words: readonly string[]): string =>
	`search_query(array[${words.map((word) => `'${word}'`).join()}])`;
const someWith = (words: readonly string[]): string =>
	`products_with_terms(${queryFor(words)}, ${FEW + 1})`;
const CONTENT_WORDS = sql("content_words", "select to_json(content_words($1)) as content");

/** A word that such a part of the products has is not looked up: Postgres has counted it, for it takes one that it knows nothing of for less. */
const MANY = 0.006;
const ALL = "select from products where deleted_at is null";

/**
 * Whether few products have all of these words. One that many have is known from when Postgres last analysed the table: the index on words would gather each of
 * those products first. Of several, each of which many have, none may have all, so they are looked up.
 */
export async function areRare(db: Queryable, words: readonly string[]): Promise<boolean> {
	const content = words.length === 1 ? words : await contentWords(db, words);
	if (content.length === 1 && (await haveMany(db, content[0]!))) return false;
	const [row] = await db.query<{ found: number }>(
		`select count(*)::int as found from ${someWith(words)}`,
	);
	return row!.found <= FEW;
}
/** The words that must occur: without stop words, unless there are no others. */
const contentWords = async (db: Queryable, words: readonly string[]): Promise<string[]> =>
	(await db.query<{ content: string[] }>(CONTENT_WORDS, [words]))[0]!.content;
/** Asked by the stem alone, for of beginnings of words Postgres knows nothing. Where it is not many by far, looking costs little and is sure. */
async function haveMany(db: Queryable, word: string): Promise<boolean> {
	const found = await estimateCount(
		db,
		`${ALL} and terms @@ plainto_tsquery('english', search_text('${word}'))`,
	);
	return found > Math.max(10 * FEW, MANY * (await estimateCount(db, ALL)));
}

/**
 * A filter as Sequelize writes it; whatever the values hold, they stay values.
 * @param rare whether few products have its words
 */
export function matching(
	{ category, min_price, max_price, words }: Filter,
	rare: boolean,
): WhereOptions {
	return {
		[Op.and]: [
			...(category === undefined
				? []
				: [where(fn("category_key", col("category")), fn("category_key", category))]),
			...(min_price === undefined ? [] : [{ price: { [Op.gte]: min_price } }]),
			...(max_price === undefined ? [] : [{ price: { [Op.lte]: max_price } }]),
			...(words === undefined ? [] : [withWords(words, rare)]),
		],
	};
}
function withWords(words: readonly string[], rare: boolean): WhereOptions {
	if (words.length === 0) return literal("false") as unknown as WhereOptions;
	return rare
		? { id: { [Op.in]: literal(`(select ${someWith(words)})`) } }
		: { terms: { [Op.match]: literal(`(${queryFor(words)})`) } };
}

/**
 * What comes behind a product in this order; nothing, behind one that never was.
 * @param sort one of the columns that lists are sorted by, `-` in front for descending
 * @param id a UUID
 */
export function afterProduct(sort: string, id: string): WhereOptions {
	const column = sort.replace("-", "");
	const place = `((select ${column} from products where id = '${id}'), '${id}'::uuid)`;
	return literal(
		`(${sorted(column)}, id) ${sort.startsWith("-") ? "<" : ">"} ${place}`,
	) as unknown as WhereOptions;
}

/** Names are sorted by the root collation of Unicode, as the indexes on them are. */
const sorted = (column: string): string =>
	column === "name" ? 'name collate "und-x-icu"' : column;
/** The order of a list, with the id behind it so that pages do not overlap. */
export function order(sort: string): [expression: object, direction: "ASC" | "DESC"][] {
	const direction = sort.startsWith("-") ? "DESC" : "ASC";
	return [sorted(sort.replace("-", "")), "id"].map((expression) => [
		literal(expression),
		direction,
	]);
}
