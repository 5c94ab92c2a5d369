import { randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import pg from "pg";

/**
 * The floor: what the plainest possible shop costs. One process, bare node:http, prepared statements, one transaction on one database for
 * an order; no services, no saga, no events, no accounts, no Idempotency-Key. Takes the database and the port as its arguments.
 */
const [, , connectionString, port] = process.argv;
const pool = new pg.Pool({ connectionString, max: 15 });

const one = { name: "one", text: "select * from products where id = $1" };
const many = { name: "many", text: "select * from products order by created_at, id limit $1" };
const take = {
	name: "take",
	text: "update stock set reserved = reserved + $2 where product_id = $1 and on_hand - reserved >= $2 returning (select price from products where id = $1)",
};
const insert = { name: "insert", text: "insert into orders (id, user_id, status, total_amount) values ($1, $2, 'confirmed', $3)" };
const item = { name: "item", text: "insert into items values ($1, $2, $3, $4)" };

async function order({ items }: { items: { product_id: string; quantity: number }[] }) {
	// In one order, or two orders of the same products would lock each other out.
	items.sort((a, b) => (a.product_id < b.product_id ? -1 : 1));
	const client = await pool.connect();
	try {
		await client.query("begin");
		const id = randomUUID();
		let cents = 0;
		const lines: unknown[][] = [];
		for (const { product_id, quantity } of items) {
			const { rows } = await client.query({ ...take, values: [product_id, quantity] });
			if (!rows[0]) throw new Error("OUT_OF_STOCK");
			cents += Math.round(Number(rows[0].price) * 100) * quantity;
			lines.push([id, product_id, quantity, rows[0].price]);
		}
		const total_amount = cents / 100;
		await client.query({ ...insert, values: [id, randomUUID(), total_amount] });
		for (const values of lines) await client.query({ ...item, values });
		await client.query("commit");
		return { id, status: "confirmed", items, total_amount };
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
server.listen(Number(port), "127.0.0.1");
