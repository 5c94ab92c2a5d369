import { createHash } from "node:crypto";
import type { Postgres } from "./postgres.ts";

/** How much there is when the measuring begins. */
export interface SeedSize {
	readonly products: number;
	readonly users: number;
	/** Delivered by now, each of one to three products. */
	readonly orders: number;
}
export type EntityKind = "product" | "user" | "order" | "session";
const DAY_MS = 86_400_000;
/** For how many days they came in. */
const PERIOD_DAYS: Readonly<Record<EntityKind, number>> = { product: 365, user: 365, order: 90, session: 20 };
export const SESSIONS_PER_USER = 5;
/** Words that an eighth of the products have each; ten products each have one of their own besides. */
export const COMMON_WORDS = ["oak", "wool", "linen", "copper", "glass", "paper", "stone", "clay"] as const;
export const rareWord = (n: number): string => `lot${String(Math.floor(n / 10)).padStart(9, "0")}`;
const CATEGORIES = 10;
export const category = (n: number): string => `Category ${n % CATEGORIES}`;
/** What is on hand of each product. */
export const INITIAL_STOCK = 100_000_000;

/**
 * What happened before, the same in every database because all of it follows from numbers: the id of the nth order, for instance, is a
 * UUID version 7 of its time, and whoever needs it computes it.
 */
export class SeedHistory {
	readonly size: SeedSize;
	readonly #now: number;

	constructor(size: SeedSize, now: number) {
		this.size = size;
		this.#now = now;
	}

	#count = (kind: EntityKind): number =>
		({ product: this.size.products, user: this.size.users, order: this.size.orders, session: this.size.users * SESSIONS_PER_USER })[kind];
	/** Milliseconds between two of a kind, and the time of the first. */
	#times(kind: EntityKind): { step: number; base: number } {
		const step = Math.max(1, Math.floor((PERIOD_DAYS[kind] * DAY_MS) / Math.max(1, this.#count(kind))));
		return { step, base: this.#now - step * this.#count(kind) };
	}

	id(kind: EntityKind, n: number): string {
		const { step, base } = this.#times(kind);
		const time = (base + n * step).toString(16).padStart(12, "0");
		const noise = createHash("md5").update(`${kind}${n}`).digest("hex");
		return `${time.slice(0, 8)}-${time.slice(8)}-7${noise.slice(0, 3)}-8${noise.slice(3, 6)}-${noise.slice(6, 18)}`;
	}

	/** The same in SQL, where `n` is an expression. `fact` makes another id of the same time. */
	sqlId(kind: EntityKind, n = "n", fact = ""): string {
		const noise = `md5('${kind}${fact}' || (${n}))`;
		return `(lpad(to_hex(${this.#sqlMs(kind, n)}), 12, '0') || '7' || substr(${noise}, 1, 3) || '8' || substr(${noise}, 4, 15))::uuid`;
	}
	#sqlMs(kind: EntityKind, n: string): string {
		const { step, base } = this.#times(kind);
		return `(${base} + (${n})::bigint * ${step})`;
	}
	sqlTime = (kind: EntityKind, n = "n"): string => `to_timestamp(${this.#sqlMs(kind, n)} / 1000.0)`;

	/** All ids of the past are below this one, and those that are made from now on above it. */
	get endId(): string {
		const time = this.#now.toString(16).padStart(12, "0");
		return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
	}

	/** Columns of product `n` that every shop has. */
	get product() {
		return {
			id: this.sqlId("product"),
			name: sqlName("n"),
			description:
				"'Plain and sturdy, made to last, from lot' || lpad((n / 10)::text, 9, '0') || '. Comes in a box with a note on how to look after it.'",
			price: sqlPrice("n"),
			currency: "'EUR'",
			category: `'Category ' || n % ${CATEGORIES}`,
			created_at: this.sqlTime("product"),
		};
	}
	/** Columns of order `n`. */
	get order() {
		return {
			id: this.sqlId("order"),
			user_id: this.sqlId("user", `n % ${this.size.users}`),
			status: "'delivered'",
			total_amount: `(select sum(price) from (select ${this.line.price} as price from ${this.lines}) line)`,
			created_at: this.sqlTime("order"),
		};
	}
	/** What order `n` is joined with to get its lines, `k`. */
	readonly lines = "generate_series(0, n % 3) k";
	/** What stands in line `k` of order `n`. */
	get line() {
		const product = `((n::bigint * 7919 + k * 104729) % ${Math.max(1, this.size.products)})`;
		return { product_id: this.sqlId("product", product), name: sqlName(product), price: sqlPrice(product) };
	}
	/** The lines of order `n`, as JSON. */
	get items(): string {
		const { product_id, name, price } = this.line;
		const line = `'product_id', ${product_id}, 'name', ${name}, 'quantity', 1, 'unit_price', ${price}, 'line_total', ${price}`;
		return `(select json_agg(json_build_object(${line})) from ${this.lines})`;
	}
}
const sqlPrice = (product: string): string => `(9.99 + ${product} % 50)::numeric(12, 2)`;
const sqlName = (product: string): string =>
	`'Product ' || (${product}) || ' of ' || (array['${COMMON_WORDS.join("','")}'])[1 + (${product}) % ${COMMON_WORDS.length}]`;
/** A part of a table: how many rows, and what stands in each column of row `n`. */
export interface SeedRows {
	readonly table: string;
	/** `n` goes from here … */
	readonly from?: number;
	/** … to just before here. */
	readonly to: number;
	readonly columns: Readonly<Record<string, string>>;
	/** What each `n` is joined with. */
	readonly join?: string;
	/** A column, as table.column, that holds all of it already where there is one. */
	readonly skipIfColumn?: string;
}
const ROWS_PER_INSERT = 100_000;

/**
 * Inserts them in bulk. Columns that the table does not have are left out, so that other revisions of the shop can be filled as well.
 * @param onRows is told of each chunk
 */
export async function insertRows(server: Postgres, database: string, all: readonly SeedRows[], onRows: (n: number) => void): Promise<void> {
	const found = await server.query<{ name: string }>(
		database,
		"select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public'",
	);
	const there = new Set(found.map(({ name }) => name));
	for (const { table, from: first = 0, to, columns, join = "", skipIfColumn } of all) {
		if (skipIfColumn && there.has(skipIfColumn)) continue;
		const known = Object.entries(columns).filter(([name]) => there.has(`${table}.${name}`));
		const names = known.map(([name]) => name).join(", ");
		const values = known.map(([, value]) => value).join(", ");
		for (let from = first; from < to; from += ROWS_PER_INSERT) {
			const until = Math.min(from + ROWS_PER_INSERT, to) - 1;
			await server.query(database, `insert into ${table} (${names}) select ${values} from generate_series(${from}, ${until}) n ${join}`);
			onRows(until + 1 - from);
		}
	}
}
