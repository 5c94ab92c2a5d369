import { literal, Op, type WhereOptions } from "sequelize";
import { estimateCount } from "../../lib/persistence/approximate-count.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import { correctWords } from "./products.spelling.ts";
import { CONTENT_WORDS } from "./products.statements.ts";

/**
 * Number of matches up to which a query reads all of them by the index on words. More matches are
 * frequent enough to find a page by walking the index of its order.
 */
const MAX_RARE = 1000;
/**
 * Fraction of products above which a word is certainly frequent. Postgres has statistics for such a
 * word: its default estimate for unknown words is lower.
 */
const FREQUENT_FRACTION = 0.006;

const CATALOGUE = "select from products where deleted_at is null and parent_id is null";

/**
 * Whether few products contain all of these words. A single frequent word is recognized by the
 * statistics of the last ANALYZE, because the index on words would read all of its products first.
 * Several frequent words may have no product in common, so they are looked up.
 */
export const areRare = async (db: Queryable, words: readonly string[]): Promise<boolean> =>
	(await countUpToLimit(db, words)) <= MAX_RARE;

/** Number of products that contain all of these words, or a number above MAX_RARE. */
async function countUpToLimit(db: Queryable, words: readonly string[]): Promise<number> {
	const content = words.length === 1 ? words : await contentWords(db, words);
	if (content.length === 1 && (await isFrequent(db, content[0]!))) return MAX_RARE + 1;
	const [row] = await db.query<{ found: number }>(
		`select count(*)::int as found from ${idsWithWords(words)}`,
	);
	return row!.found;
}

/** Words to search for: those of the query or, if no product contains them, corrected ones. */
export async function searchableWords(db: Queryable, list: readonly string[]): Promise<Words> {
	if (list.length === 0) return { list, isRare: true };
	const found = await countUpToLimit(db, list);
	const corrected = found === 0 ? await correctWords(db, list) : undefined;
	return corrected
		? { list: corrected, isRare: await areRare(db, corrected), isCorrected: true }
		: { list, isRare: found <= MAX_RARE };
}

/** Words of a search. */
export interface Words {
	readonly list: readonly string[];
	/** Whether few products contain all of them. */
	readonly isRare: boolean;
	/** Whether the words differ from those of the query, which no product contains. */
	readonly isCorrected?: true;
}
/** Order of a list: an SQL expression, with the ID of the product behind it. */
export interface SortOrder {
	readonly expression: string;
	readonly direction: "ASC" | "DESC";
}
/** Weights of the description, attributes, category, and name with SKU. */
const WEIGHTS = "{0.05, 0.2, 0.4, 1.0}";

/**
 * Order by a sort column of the contract, descending with a leading `-`, or by relevance. Only few
 * matches are sorted by relevance, because it is computed for each of them; otherwise, and without
 * words, the order is that of creation.
 */
export function sortOrder(sort: string, words: Words | undefined): SortOrder {
	if (sort === "relevance" && words?.isRare && words.list.length > 0) {
		const rank = `ts_rank('${WEIGHTS}', terms, ${searchQuery(words.list)})`;
		return { expression: `-${rank}`, direction: "ASC" };
	}
	const column = sort === "relevance" ? "created_at" : sort.replace("-", "");
	return {
		// Names are sorted by Unicode's root collation, like their indexes.
		expression: column === "name" ? 'name collate "und-x-icu"' : column,
		direction: sort.startsWith("-") ? "DESC" : "ASC",
	};
}

/**
 * Condition of rows after a product. An unknown product has no rows after it.
 * @param id a UUID
 */
export function isAfter({ expression, direction }: SortOrder, id: string): WhereOptions {
	const position = `((select ${expression} from products where id = '${id}'), '${id}'::uuid)`;
	return literal(
		`(${expression}, id) ${direction === "DESC" ? "<" : ">"} ${position}`,
	) as unknown as WhereOptions;
}

/** Sort parameter of a query. It ends with the ID, so that pages do not overlap. */
export const orderBy = ({
	expression,
	direction,
}: SortOrder): [expression: object, direction: "ASC" | "DESC"][] =>
	[expression, "id"].map((one) => [literal(one), direction]);

/**
 * Condition of products that contain all words, by the beginning of a word or by the English stem.
 * Stop words are ignored unless there are no others. No product matches an empty list.
 */
export function containsWords({ list, isRare }: Words): WhereOptions {
	if (list.length === 0) return literal("false") as unknown as WhereOptions;
	return isRare
		? { id: { [Op.in]: literal(`(select ${idsWithWords(list)})`) } }
		: { terms: { [Op.match]: literal(`(${searchQuery(list)})`) } };
}

/** SQL of a tsquery. The words consist of letters and digits, so they cannot end the quotes. */
const searchQuery = (words: readonly string[]): string =>
	`search_query(array[${words.map((word) => `'${word}'`).join()}])`;

/** SQL call that returns the IDs of at most `MAX_RARE` + 1 products with these words. */
const idsWithWords = (words: readonly string[]): string =>
	`products_with_terms(${searchQuery(words)}, ${MAX_RARE + 1})`;

const contentWords = async (db: Queryable, words: readonly string[]): Promise<string[]> =>
	(await db.query<{ content: string[] }>(CONTENT_WORDS, [words]))[0]!.content;

/**
 * Whether Postgres estimates that many products contain the word. The query is for the stem only,
 * because Postgres has no statistics on beginnings of words. The limits are high, because a lookup
 * of a less frequent word is cheap and exact.
 */
async function isFrequent(db: Queryable, word: string): Promise<boolean> {
	const found = await estimateCount(
		db,
		`${CATALOGUE} and terms @@ plainto_tsquery('english', search_text('${word}'))`,
	);
	const limit = FREQUENT_FRACTION * (await estimateCount(db, CATALOGUE));
	return found > Math.max(10 * MAX_RARE, limit);
}
