import { type Queryable, sql } from "../../lib/persistence/database.ts";
import { closestWord } from "./products.spelling.rules.ts";

/** Similar words among which the closest one is chosen. */
const MAX_CANDIDATES = 50;
/** Products per statement that adds their words. */
const BATCH_SIZE = 200;

const LISTED = "deleted_at is null and parent_id is null";
/** Each word as search compares it, and whether it is a stop word or in a listed product. */
const CHECK_WORDS = sql(
	"check_words",
	`select search_text(word) as word,
		length(to_tsvector('english', search_text(word))) = 0
			or exists (select from products
				where ${LISTED} and terms @@ search_query(array[word])) as is_known
	from unnest($1::text[]) with ordinality as w (word, n) order by n`,
);
const SIMILAR_WORDS = sql(
	"similar_words",
	`select word from known_words order by word <-> $1, word limit ${MAX_CANDIDATES}`,
);
/** Words of these that a listed product contains. */
const LISTED_WORDS = sql(
	"listed_words",
	`select word from unnest($1::text[]) as word
	where exists (select from products where ${LISTED} and terms @@ search_query(array[word]))`,
);
/**
 * Adds words in one order, so that nodes that add the same ones do not deadlock. Arrays instead of
 * joins: the cost must not depend on the number of products, or of those that wait.
 */
const ADD_WORDS = sql(
	"add_words",
	`with taken as (
			delete from products_with_new_words where ctid = any (array(
				select ctid from products_with_new_words limit ${BATCH_SIZE} for update skip locked))
			returning product_id),
		added as (
			insert into known_words
			select distinct word from products
				cross join words_of(name, description, category, attributes, options) as word
			where id = any (array(select product_id from taken)) and deleted_at is null
			order by word on conflict do nothing)
	select count(*) as taken from taken`,
);

/**
 * Replaces each word that no product contains by the closest known one. Returns undefined if there
 * is nothing to replace, or no close word.
 */
export async function correctWords(
	db: Queryable,
	words: readonly string[],
): Promise<string[] | undefined> {
	const checked = await db.query<{ word: string; is_known: boolean }>(CHECK_WORDS, [words]);
	const corrected: string[] = [];
	for (const { word, is_known } of checked) {
		const replacement = is_known ? word : await closestKnownWord(db, word);
		if (replacement === undefined) return undefined;
		corrected.push(replacement);
	}
	return checked.every(({ is_known }) => is_known) ? undefined : corrected;
}

/** A removed product may have been the last with a known word, so candidates are looked up. */
async function closestKnownWord(db: Queryable, word: string): Promise<string | undefined> {
	const similar = (await db.query<{ word: string }>(SIMILAR_WORDS, [word])).map((row) => row.word);
	const close = similar.filter((candidate) => closestWord(word, [candidate]) !== undefined);
	const listed = await db.query<{ word: string }>(LISTED_WORDS, [close]);
	const known = new Set(listed.map((row) => row.word));
	return closestWord(
		word,
		close.filter((candidate) => known.has(candidate)),
	);
}

/**
 * Adds the words of changed products to the known ones.
 * @returns true if there may be more, false after a batch, or Infinity if no product has changed
 */
export async function addNewWords(db: Queryable): Promise<boolean | number> {
	const [row] = await db.query<{ taken: number }>(ADD_WORDS);
	return row!.taken === 0 ? Number.POSITIVE_INFINITY : row!.taken === BATCH_SIZE;
}
