import { randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import pg from "pg";

/**
 * The floor: what the plainest possible shop costs. One process, bare node:http, prepared statements, one transaction on one database for
 * an order; no services, no saga, no events, no accounts. Takes the database as its argument, prints its port and product ids as JSON.
 */
const pool = new pg.Pool({ connectionString: process.argv[2], max: 15 });
await pool.query(`
	drop table if exists items, orders, stock, products;
	create table products (id uuid primary key, name text, description text, price numeric(12,2), currency text, category text, created_at timestamptz default now());
	create table stock (product_id uuid primary key, on_hand int, reserved int default 0) with (fillfactor = 50);
	create table orders (id uuid primary key, user_id uuid, status text, total_amount numeric(12,2), created_at timestamptz default now());
	create table items (order_id uuid references orders, product_id uuid, quantity int, unit_price numeric(12,2), primary key (order_id, product_id));
	insert into products select gen_random_uuid(), 'Product ' || n, repeat('Plain words. ', 8), 9.99 + n % 50, 'EUR', 'Category ' || n % 10 from generate_series(1, 1000) n;
	insert into stock select id, 100000000 from products;
	create index on products (category, created_at);`);
await pool.query("vacuum analyze");

const one = { name: "one", text: "select * from products where id = $1" };
const many = { name: "many", text: "select * from products order by created_at, id limit $1" };
const take = {
	name: "take",
	text: "update stock set reserved = reserved + $2 where product_id = $1 and on_hand - reserved >= $2 returning (select price from products where id = $1)",
};
const insert = { name: "insert", text: "insert into orders (id, user_id, status, total_amount) values ($1, $2, 'confirmed', $3)" };
const item = { name: "item", text: "insert into items values ($1, $2, $3, $4)" };

async function order({ items }: { items: { product_id: string; quantity: number }[] }) {
	const client = await pool.connect();
	try {
		await client.query("begin");
		const id = randomUUID();
		let total = 0;
		const lines: unknown[][] = [];
		for (const { product_id, quantity } of items) {
			const { rows } = await client.query({ ...take, values: [product_id, quantity] });
			if (!rows[0]) throw new Error("OUT_OF_STOCK");
			total += Number(rows[0].price) * quantity;
			lines.push([id, product_id, quantity, rows[0].price]);
		}
		await client.query({ ...insert, values: [id, randomUUID(), total.toFixed(2)] });
		for (const values of lines) await client.query({ ...item, values });
		await client.query("commit");
		return { id, status: "confirmed", total_amount: total };
	} catch (error) {
		await client.query("rollback");
		throw error;
	} finally {
		client.release();
	}
}

function answer(response: ServerResponse, status: number, value: unknown): void {
	const text = JSON.stringify(value);
	response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
	response.end(text);
}

const server = createServer((request, response) => {
	const url = request.url ?? "";
	const failed = (error: Error) => answer(response, error.message === "OUT_OF_STOCK" ? 409 : 500, { error: error.message });
	if (request.method === "POST") {
		let text = "";
		request.setEncoding("utf8").on("data", (chunk: string) => {
			text += chunk;
		});
		request.on("end", () => order(JSON.parse(text)).then((made) => answer(response, 201, made), failed));
	} else if (url.startsWith("/api/products/")) {
		pool.query({ ...one, values: [url.slice(14)] }).then(({ rows }) => answer(response, 200, rows[0]), failed);
	} else {
		const limit = Number(new URL(url, "http://floor").searchParams.get("limit") ?? 20);
		pool.query({ ...many, values: [limit] }).then(({ rows }) => answer(response, 200, rows), failed);
	}
});
server.listen(0, "127.0.0.1", async () => {
	const { rows } = await pool.query<{ id: string }>("select id from products order by created_at, id");
	console.log(JSON.stringify({ port: (server.address() as { port: number }).port, products: rows.map(({ id }) => id) }));
});
