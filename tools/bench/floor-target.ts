import { join } from "node:path";
import { createDatabases } from "../../lib/persistence/migrate.ts";
import { eventually } from "../../test/support/eventually.ts";
import { freePort, startProcess } from "../../test/support/processes.ts";
import type { OrderRecord } from "./invariants.ts";
import type { Postgres } from "./postgres.ts";
import { INITIAL_STOCK, insertRows, type SeedHistory, type SeedRows } from "./seed-history.ts";
import type { Target } from "./target.ts";

const TABLES = `
	create table products (id uuid primary key, name text, description text, price numeric(12,2),
		currency text, category text, created_at timestamptz default now());
	create table stock (product_id uuid primary key, on_hand int,
		reserved int default 0) with (fillfactor = 50);
	create table orders (id uuid primary key, user_id uuid, status text, total_amount numeric(12,2),
		created_at timestamptz default now());
	create table items (order_id uuid references orders, product_id uuid, quantity int,
		unit_price numeric(12,2), primary key (order_id, product_id));
	create table users (id uuid primary key, email text unique, hashed_password text);
	create table sessions (id uuid primary key, user_id uuid references users,
		created_at timestamptz default now());
	create index on products (created_at, id);
	create index on products (category, created_at);`;
const DATABASE = "floor";

/** Starts the floor with the same seed products and orders as a shop. */
export async function startFloor(options: {
	folder: string;
	server: Postgres;
	history: SeedHistory;
	onEnd(stop: () => Promise<unknown>): void;
}): Promise<Target> {
	const { folder, server, history, onEnd } = options;
	const address = `postgres://floor:secret@${server.address}/${DATABASE}`;
	await createDatabases(server.url("postgres"), address, [DATABASE]);
	await server.query(
		DATABASE,
		`${TABLES} alter table products owner to floor; alter table stock owner to floor;
		alter table orders owner to floor; alter table items owner to floor;
		alter table users owner to floor; alter table sessions owner to floor;`,
	);
	await insertFloorHistory(server, history);
	const port = await freePort();
	const process = startProcess({
		name: "floor",
		file: globalThis.process.execPath,
		args: ["--no-warnings", join(import.meta.dirname, "floor.ts"), address, String(port)],
		log: join(folder, "floor.log"),
	});
	onEnd(() => process.kill());
	const url = `http://127.0.0.1:${port}`;
	await Promise.race([
		process.failure,
		eventually(async () => fetch(`${url}/api/products?limit=1`)),
	]);
	const quantities = async (text: string, values: unknown[] = []) =>
		new Map(
			(await server.query<{ id: string; n: number }>(DATABASE, text, values)).map(({ id, n }) => [
				id,
				n,
			]),
		);
	return {
		name: "floor",
		url,
		history,
		pids: { node: process.pid },
		databases: new Map([[server, [DATABASE]]]),
		tokens: async () => [""],
		isSettled: async () => true,
		findOrders: (ids) =>
			server.query<OrderRecord & Record<string, unknown>>(
				DATABASE,
				"select id, status from orders where id = any($1::uuid[])",
				[ids],
			),
		async readState() {
			const [orders] = await server.query<{ n: number }>(
				DATABASE,
				"select count(*)::int as n from orders where status = 'confirmed'",
			);
			return {
				confirmed: orders!.n,
				cancelled: 0,
				open: 0,
				sold: await quantities(
					`select product_id as id, sum(quantity)::int as n from items join orders on id = order_id
						where status = 'confirmed' group by 1`,
				),
				reserved: await quantities(
					"select product_id as id, reserved as n from stock where reserved > 0",
				),
			};
		},
	};
}

/** Inserts users, products, stock and delivered orders. Delivered orders have no reservation. */
async function insertFloorHistory(server: Postgres, history: SeedHistory): Promise<void> {
	const { users, products, orders } = history.size;
	const { product_id, price } = history.line;
	const item = { order_id: history.order.id, product_id, quantity: "1", unit_price: price };
	const rows: SeedRows[] = [
		{ table: "users", to: users, columns: history.user },
		{ table: "products", to: products, columns: history.product },
		{
			table: "stock",
			to: products,
			columns: { product_id: history.product.id, on_hand: String(INITIAL_STOCK), reserved: "0" },
		},
		{ table: "orders", to: orders, columns: history.order },
		{ table: "items", to: orders, columns: item, join: `cross join lateral ${history.lines}` },
	];
	await insertRows(server, DATABASE, rows, () => undefined);
	await server.query(DATABASE, "vacuum analyze");
}
