import { randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";
import { javascriptBcrypt, nativeBcrypt } from "../../lib/security/bcrypt.ts";

/**
 * The floor: the minimal server that the benchmark compares with. One process, plain node:http,
 * prepared statements, and one transaction on one database per order; no services, saga, events,
 * limits or idempotency keys. Arguments: connection string and port.
 */
const [, , connectionString, port] = process.argv;
const pool = new pg.Pool({ connectionString, max: 15 });
const bcrypt = nativeBcrypt() ?? javascriptBcrypt(2);
const SECRET = "the secret of the floor's access tokens";

const selectProduct = { name: "one", text: "select * from products where id = $1" };
const selectProducts = {
	name: "many",
	text: "select * from products order by created_at, id limit $1",
};
const reserveStock = {
	name: "take",
	text: `update stock set reserved = reserved + $2 where product_id = $1
		and on_hand - reserved >= $2 returning (select price from products where id = $1)`,
};
const insertOrder = {
	name: "insert",
	text: "insert into orders (id, user_id, status, total_amount) values ($1, $2, 'confirmed', $3)",
};
const insertItem = { name: "item", text: "insert into items values ($1, $2, $3, $4)" };

const selectUser = {
	name: "user",
	text: "select id, hashed_password from users where email = $1",
};
const insertSession = {
	name: "session",
	text: "insert into sessions (id, user_id) values ($1, $2)",
};

async function logIn({ email, password }: { email: string; password: string }) {
	const { rows } = await pool.query({ ...selectUser, values: [email] });
	const [user] = rows;
	if (!user || !(await bcrypt.compare(password, user.hashed_password)))
		throw new Error("INVALID_CREDENTIALS");
	const id = randomUUID();
	await pool.query({ ...insertSession, values: [id, user.id] });
	return { access_token: jwt.sign({ sub: user.id, sid: id }, SECRET, { expiresIn: "15m" }) };
}

async function placeOrder({ items }: { items: { product_id: string; quantity: number }[] }) {
	// A fixed lock order prevents deadlocks between orders of the same products.
	items.sort((a, b) => (a.product_id < b.product_id ? -1 : 1));
	const client = await pool.connect();
	try {
		await client.query("begin");
		const id = randomUUID();
		let cents = 0;
		const lines: unknown[][] = [];
		for (const { product_id, quantity } of items) {
			const { rows } = await client.query({ ...reserveStock, values: [product_id, quantity] });
			if (!rows[0]) throw new Error("OUT_OF_STOCK");
			cents += Math.round(Number(rows[0].price) * 100) * quantity;
			lines.push([id, product_id, quantity, rows[0].price]);
		}
		const total_amount = cents / 100;
		await client.query({ ...insertOrder, values: [id, randomUUID(), total_amount] });
		for (const values of lines) await client.query({ ...insertItem, values });
		await client.query("commit");
		return { id, status: "confirmed", items, total_amount };
	} catch (error) {
		await client.query("rollback");
		throw error;
	} finally {
		client.release();
	}
}

/** HTTP status by error message. */
const STATUS: Readonly<Record<string, number>> = { OUT_OF_STOCK: 409, INVALID_CREDENTIALS: 401 };

function respond(response: ServerResponse, status: number, value: unknown): void {
	const text = JSON.stringify(value);
	response.writeHead(status, {
		"content-type": "application/json",
		"content-length": Buffer.byteLength(text),
	});
	response.end(text);
}

const server = createServer((request, response) => {
	const url = request.url ?? "";
	const fail = (error: Error) =>
		respond(response, STATUS[error.message] ?? 500, { error: error.message });
	if (request.method === "POST") {
		let text = "";
		request.setEncoding("utf8").on("data", (chunk: string) => {
			text += chunk;
		});
		request.on("end", () =>
			url === "/api/users/login"
				? logIn(JSON.parse(text)).then((tokens) => respond(response, 200, tokens), fail)
				: placeOrder(JSON.parse(text)).then((created) => respond(response, 201, created), fail),
		);
	} else if (url.startsWith("/api/products/")) {
		pool
			.query({ ...selectProduct, values: [url.slice(14)] })
			.then(({ rows }) => respond(response, 200, rows[0]), fail);
	} else {
		const limit = Number(new URL(url, "http://floor").searchParams.get("limit") ?? 20);
		pool
			.query({ ...selectProducts, values: [limit] })
			.then(({ rows }) => respond(response, 200, rows), fail);
	}
});
server.listen(Number(port), "127.0.0.1");
