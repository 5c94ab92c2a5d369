import { createHash } from "node:crypto";
import bcrypt from "bcryptjs";
import type { Postgres } from "./postgres.ts";

/** Numbers of rows before the measurement starts. */
export interface SeedSize {
	readonly products: number;
	readonly users: number;
	/** All delivered, with one to three products each. */
	readonly orders: number;
	/** Guests' carts with one line; if there are any, with a coupon, tax and shipping costs. */
	readonly carts: number;
}
type EntityKind = "product" | "user" | "order" | "session" | "cart";
const DAY_MS = 86_400_000;
/** Period in days over which the creation times are distributed. */
const PERIOD_DAYS: Readonly<Record<EntityKind, number>> = {
	product: 365,
	user: 365,
	order: 90,
	session: 20,
	cart: 20,
};
export const SESSIONS_PER_USER = 5;
/** Each word occurs in one eighth of the products. */
export const COMMON_WORDS = [
	"oak",
	"wool",
	"linen",
	"copper",
	"glass",
	"paper",
	"stone",
	"clay",
] as const;
/** Word that occurs in ten products, of which `n` is one. */
export const rareWord = (n: number): string => `lot${String(Math.floor(n / 10)).padStart(9, "0")}`;
/** Password of every buyer. */
export const BUYER_PASSWORD = "correct horse battery staple";
/** The cost in production. */
const BCRYPT_COST = 10;
const CATEGORIES = 10;
const SIZES = 6;
/** One of 20,000 words of letters, as a catalogue of this size has. */
const MARK = "left(translate(md5((n % 20000)::text), '0123456789', 'ghijklmnop'), 8)";
/** Units on hand of each product. */
export const INITIAL_STOCK = 100_000_000;

/**
 * Seed history: SQL expressions and ids of the rows that exist before the measurement. Everything
 * is computed from the row number `n`, so that all databases agree and ids need no lookup. For
 * example, the id of order `n` is the UUIDv7 of its creation time with a hash of `n`.
 */
export class SeedHistory {
	readonly size: SeedSize;
	readonly #now: number;

	constructor(size: SeedSize, now: number) {
		this.size = size;
		this.#now = now;
	}

	#count = (kind: EntityKind): number =>
		({
			product: this.size.products,
			user: this.size.users,
			order: this.size.orders,
			session: this.size.users * SESSIONS_PER_USER,
			cart: this.size.carts,
		})[kind];
	/** Interval between two rows and creation time of the first row, in milliseconds. */
	#times(kind: EntityKind): { step: number; base: number } {
		const step = Math.max(
			1,
			Math.floor((PERIOD_DAYS[kind] * DAY_MS) / Math.max(1, this.#count(kind))),
		);
		return { step, base: this.#now - step * this.#count(kind) };
	}

	/** Returns the id of row `n`. */
	id(kind: EntityKind, n: number): string {
		const { step, base } = this.#times(kind);
		const time = (base + n * step).toString(16).padStart(12, "0");
		const noise = createHash("md5").update(`${kind}${n}`).digest("hex");
		const [a, b, c] = [noise.slice(0, 3), noise.slice(3, 6), noise.slice(6, 18)];
		return `${time.slice(0, 8)}-${time.slice(8)}-7${a}-8${b}-${c}`;
	}

	/**
	 * SQL expression for `id`.
	 *
	 * @param n SQL expression
	 * @param purpose distinguishes other ids with the same time, such as that of an order's payment
	 */
	sqlId(kind: EntityKind, n = "n", purpose = ""): string {
		const noise = `md5('${kind}${purpose}' || (${n}))`;
		const time = `lpad(to_hex(${this.#sqlMs(kind, n)}), 12, '0')`;
		return `(${time} || '7' || substr(${noise}, 1, 3) || '8' || substr(${noise}, 4, 15))::uuid`;
	}
	#sqlMs(kind: EntityKind, n: string): string {
		const { step, base } = this.#times(kind);
		return `(${base} + (${n})::bigint * ${step})`;
	}
	/** SQL expression for the creation time of row `n`. */
	sqlTime = (kind: EntityKind, n = "n"): string => `to_timestamp(${this.#sqlMs(kind, n)} / 1000.0)`;

	/** Upper bound of all ids in the seed history. Later UUIDv7 ids are greater. */
	get endId(): string {
		const time = this.#now.toString(16).padStart(12, "0");
		return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
	}

	/** Columns of product `n`, as SQL expressions. */
	get product() {
		return {
			id: this.sqlId("product"),
			name: sqlName("n"),
			description: `'Plain and sturdy, made to last, from lot' || lpad((n / 10)::text, 9, '0')
				|| '. Comes in a box with a note on how to look after it. Marked ' || ${MARK} || '.'`,
			price: sqlPrice("n"),
			currency: "'EUR'",
			category: `'Category ' || n % ${CATEGORIES}`,
			attributes: `jsonb_build_object('material', ${sqlWord("n")}, 'size', 'S' || n % ${SIZES})`,
			created_at: this.sqlTime("product"),
		};
	}
	/** Columns of user `n`, as SQL expressions. */
	get user() {
		return {
			id: this.sqlId("user"),
			email: "'buyer' || n || '@example.com'",
			hashed_password: `'${bcrypt.hashSync(BUYER_PASSWORD, BCRYPT_COST)}'`,
		};
	}
	/** Columns of order `n`, as SQL expressions. */
	get order() {
		return {
			id: this.sqlId("order"),
			user_id: this.sqlId("user", `n % ${this.size.users}`),
			status: "'delivered'",
			total_amount:
				`(select sum(price) from (select ${this.line.price} as price ` +
				`from ${this.lines}) line)`,
			created_at: this.sqlTime("order"),
		};
	}
	/** Join that yields the line numbers `k` of order `n`. */
	readonly lines = "generate_series(0, n % 3) k";
	/** Columns of line `k` of order `n`. */
	get line() {
		const product = `((n::bigint * 7919 + k * 104729) % ${Math.max(1, this.size.products)})`;
		return {
			product_id: this.sqlId("product", product),
			name: sqlName(product),
			price: sqlPrice(product),
		};
	}
	/** Lines of order `n` as a JSON array. */
	get items(): string {
		const { product_id, name, price } = this.line;
		const line = `'product_id', ${product_id}, 'name', ${name}, 'quantity', 1,
			'unit_price', ${price}, 'line_total', ${price}`;
		return `(select json_agg(json_build_object(${line})) from ${this.lines})`;
	}
}
const sqlPrice = (product: string): string => `(9.99 + ${product} % 50)::numeric(12, 2)`;
const sqlName = (product: string): string =>
	`'Product ' || (${product}) || ' of ' || ${sqlWord(product)}`;
const sqlWord = (product: string): string =>
	`(array['${COMMON_WORDS.join("','")}'])[1 + (${product}) % ${COMMON_WORDS.length}]`;
/** Rows to insert into a table. */
export interface SeedRows {
	readonly table: string;
	/** First row number, 0 by default. */
	readonly from?: number;
	/** Row number after the last one. */
	readonly to: number;
	/** SQL expressions in `n` by column. */
	readonly columns: Readonly<Record<string, string>>;
	/** Join that multiplies the rows of each `n`. */
	readonly join?: string;
	/** Skips these rows if this column (`table.column`) exists, because it stores the same data. */
	readonly skipIfColumn?: string;
}
const ROWS_PER_INSERT = 100_000;

/**
 * Inserts rows in bulk. Omits columns that do not exist, so that it can fill other revisions.
 *
 * @param onRows receives the number of rows of each insert
 */
export async function insertRows(
	server: Postgres,
	database: string,
	all: readonly SeedRows[],
	onRows: (n: number) => void,
): Promise<void> {
	const existingColumns = await server.query<{ name: string }>(
		database,
		"select table_name || '.' || column_name as name " +
			"from information_schema.columns where table_schema = 'public'",
	);
	const columnNames = new Set(existingColumns.map(({ name }) => name));
	for (const { table, from: first = 0, to, columns, join = "", skipIfColumn } of all) {
		if (skipIfColumn && columnNames.has(skipIfColumn)) continue;
		const existing = Object.entries(columns).filter(([name]) =>
			columnNames.has(`${table}.${name}`),
		);
		const names = existing.map(([name]) => name).join(", ");
		const values = existing.map(([, value]) => value).join(", ");
		for (let from = first; from < to; from += ROWS_PER_INSERT) {
			const until = Math.min(from + ROWS_PER_INSERT, to) - 1;
			await server.query(
				database,
				`insert into ${table} (${names}) select ${values} ` +
					`from generate_series(${from}, ${until}) n ${join}`,
			);
			onRows(until + 1 - from);
		}
	}
}
