import type { Cached } from "../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { type Ctx, throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { type Database, type Queryable, sql, type Tx } from "../../lib/persistence/database.ts";
import type { category as categoryShape } from "./products.contract.shapes.ts";
import { products } from "./products.contract.ts";
import {
	CATEGORY_SEPARATOR,
	categoryPath,
	MAX_CATEGORY_DEPTH,
	MAX_CATEGORY_LENGTH,
	type Product,
} from "./products.rules.ts";

export type Category = Infer<typeof categoryShape>;

/** Maximum number of different categories in the tree. */
const MAX_CATEGORIES = 10_000;
/** Rows per statement that reads the IDs of a branch. */
const PAGE_SIZE = 5000;

const LISTED = "deleted_at is null and parent_id is null";
const PATH = 'category_path(category) collate "C"';
/** Condition of the categories below `$n`, with or without the category itself. */
const below = (parameter: string, operator: ">" | ">=") =>
	`${PATH} ${operator} category_path(${parameter}) collate "C"
		and ${PATH} < (category_key(${parameter}) || '0') collate "C"`;
/** IDs of the products and variants in the branch `$n`. */
const branch = (parameter: string) =>
	`select id from products where ${LISTED} and ${below(parameter, ">=")}
	union all select id from products
		where deleted_at is null and parent_id is not null and ${below(parameter, ">=")}`;

const COUNTS = sql(
	"category_counts",
	`select min(category) as category, count(*) as count from products where ${LISTED}
	group by ${PATH} order by ${PATH} limit ${MAX_CATEGORIES}`,
);
const HAS_SUBCATEGORIES = sql(
	"has_subcategories",
	`select exists (select from products where ${LISTED} and ${below("$1::text", ">")}) as found`,
);
const LOCK_CATEGORIES = sql(
	"lock_categories",
	"select pg_advisory_xact_lock(hashtext('products.categories'))",
);
/** Whether the branch `$2` has products that are not in the branch `$1`, which has some. */
const IS_TAKEN = sql(
	"is_category_taken",
	`select exists (${branch("$1::text")})
		and exists ((${branch("$2::text")}) except all (${branch("$1::text")})) as taken`,
);
/** Category after a rename from `$1` to `$2`, by parts, because letter case may differ. */
const RENAMED = `array_to_string($2::text || (string_to_array(category, '/'))
	[1 + cardinality(string_to_array($1::text, '/')):], '/')`;
const IS_TOO_LONG = sql(
	"is_category_too_long",
	`select exists (select from products where id in (${branch("$1::text")})
		and (char_length(${RENAMED}) > ${MAX_CATEGORY_LENGTH}
			or cardinality(string_to_array(${RENAMED}, '/')) > ${MAX_CATEGORY_DEPTH})) as found`,
);
/**
 * Renames the branch `$1` to `$2`, with one event per product. `$3` is the trace. The update checks
 * the branch again, because another transaction can move or remove a product before it is locked.
 */
const RENAME = sql(
	"rename_category",
	`with locked as (
			select id from products where id in (${branch("$1::text")}) order by id for update),
		changed as (
			update products set category = ${RENAMED}, updated_at = now()
			where id in (select id from locked) and category <> ${RENAMED}
				and deleted_at is null and ${below("$1::text", ">=")}
			returning id),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'product.updated', id::text,
				json_build_object('product_id', id, 'updated_fields', json_build_array('category')),
				$3::text
			from changed order by id)
	select count(*) as changed from changed`,
);
const BRANCH_PAGE = sql(
	"branch_page",
	`select id from (${branch("$1::text")}) as branch where id > $2 order by id limit ${PAGE_SIZE}`,
);

/** The tree of all categories. `count` is the number of listed products, with subcategories. */
export async function categoryTree(db: Queryable): Promise<Category[]> {
	const rows = await db.query<{ category: string; count: number }>(COUNTS);
	const roots: Category[] = [];
	const known = new Map<string, Category>();
	for (const { category, count } of rows) {
		let siblings = roots;
		let path = "";
		for (const name of category.split(CATEGORY_SEPARATOR)) {
			path = path === "" ? name : path + CATEGORY_SEPARATOR + name;
			const key = keyOf(path);
			let node = known.get(key);
			if (!node) {
				node = { name, path, count: 0, children: [] };
				known.set(key, node);
				siblings.push(node);
			}
			node.count += count;
			siblings = node.children as Category[];
		}
	}
	return roots;
}
/** Key of a category, like the function `category_key`. */
const keyOf = (path: string): string => path.normalize("NFKC").toLowerCase();

/** Whether a listed product is in a subcategory of the category. */
export async function hasSubcategories(db: Queryable, category: string): Promise<boolean> {
	const [row] = await db.query<{ found: boolean }>(HAS_SUBCATEGORIES, [category]);
	return row!.found;
}

/**
 * Renames or moves a category with its subcategories in one transaction, and returns the number of
 * changed products. Cached rows are discarded after the commit, page by page, because there may be
 * too many to hold all of them; until then no node caches a result of these rows.
 * @throws CATEGORY_EXISTS if the new branch has products and `merge` is false; VALIDATION_ERROR if
 * a new category would be too long
 */
export async function renameCategory(
	{ db, rows }: { readonly db: Database; readonly rows: Cached<Product> },
	ctx: Ctx<Infer<typeof products.actions.renameCategory.params>>,
): Promise<{ changed: number }> {
	const { merge } = ctx.params;
	const [from, to] = [categoryPath(ctx.params.from, "from"), categoryPath(ctx.params.to, "to")];
	return rows.whileInvalidated([], async () => {
		const result = await executeOnce(db, ctx, 200, (tx) => rename(tx, from, to, merge));
		if (result.changed > 0) for await (const ids of idsInBranch(db, to)) await rows.discard(ids);
		return result;
	});
}

async function rename(
	tx: Tx,
	from: string,
	to: string,
	merge: boolean,
): Promise<{ changed: number }> {
	// The branch can have a million products.
	tx.limitStatements(products.actions.renameCategory.timeout);
	await tx.query(LOCK_CATEGORIES);
	if (!merge) {
		const [row] = await tx.query<{ taken: boolean }>(IS_TAKEN, [from, to]);
		if (row!.taken) throwError(products, "CATEGORY_EXISTS");
	}
	const [tooLong] = await tx.query<{ found: boolean }>(IS_TOO_LONG, [from, to]);
	if (tooLong!.found)
		throw invalidField(
			"to",
			"CATEGORY",
			`A category would exceed ${MAX_CATEGORY_LENGTH} characters or ${MAX_CATEGORY_DEPTH} levels`,
		);
	const [row] = await tx.query<{ changed: number }>(RENAME, [from, to, currentTraceparent()]);
	return row!;
}

async function* idsInBranch(db: Queryable, category: string): AsyncGenerator<string[]> {
	for (let after = "00000000-0000-0000-0000-000000000000"; ; ) {
		const page = await db.query<{ id: string }>(BRANCH_PAGE, [category, after]);
		if (page.length === 0) return;
		yield page.map(({ id }) => id);
		after = page.at(-1)!.id;
	}
}
