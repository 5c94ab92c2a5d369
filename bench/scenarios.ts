import { setTimeout as after } from "node:timers/promises";
import { Connection } from "./client.ts";
import type { Operation } from "./load.ts";
import { ADMIN, type Target } from "./targets.ts";

/** What the scenarios buy and who buys. */
export interface World {
	readonly products: readonly string[];
	readonly tokens: readonly string[];
	readonly accounts: readonly { email: string; password: string }[];
}
const WORDS = ["oak", "wool", "linen", "copper", "glass", "paper", "stone", "clay"];

async function ok(reply: Promise<{ status: number; body: Buffer }>, wanted: number) {
	const { status, body } = await reply;
	if (status !== wanted) throw new Error(`Seeding was answered with ${status}: ${body.toString()}`);
	return JSON.parse(body.toString());
}

async function retry<T>(work: () => Promise<T>): Promise<T> {
	for (let tries = 0; ; tries++) {
		try {
			return await work();
		} catch (error) {
			if (tries > 50) throw error;
			await after(100);
		}
	}
}

/** Runs `work` for 0 … count - 1 over a few connections at once (`lanes`), answers in order. */
async function many<T>(url: string, count: number, lanes: number, work: (connection: Connection, n: number) => Promise<T>): Promise<T[]> {
	const results: T[] = [];
	let next = 0;
	const lane = async () => {
		const connection = new Connection(url);
		for (let n = next++; n < count; n = next++) results[n] = await work(connection, n);
		connection.close();
	};
	await Promise.all(Array.from({ length: lanes }, lane));
	return results;
}

/** Fills a shop through its own API. */
export async function seed({ url }: Target, products: number, users: number): Promise<World> {
	const first = new Connection(url);
	const login = (connection: Connection, body: object) => ok(connection.request("POST", "/api/users/login", { body }), 200);
	// The first start makes the administrator a moment after the shop is ready.
	const admin = await retry(async () => (await login(first, ADMIN)).access_token as string);
	first.close();
	const made = await many(url, products, 16, async (connection, n) => {
		const words = `${WORDS[n % 8]} ${WORDS[(n >> 3) % 8]}`;
		const body = {
			name: `Product ${n} ${words}`,
			description: `Plain words about ${words}. `.repeat(4),
			price: 9.99 + (n % 50),
			category: `Category ${n % 10}`,
			stock: 100_000_000,
		};
		const { id } = await ok(
			connection.request("POST", "/api/products", { token: admin, body: { ...body, price: Number(body.price.toFixed(2)) } }),
			201,
		);
		return id as string;
	});
	const accounts = Array.from({ length: users }, (_, n) => ({ email: `buyer${n}@example.com`, password: `password of ${n}` }));
	const tokens = await many(url, users, 2, async (connection, n) => {
		await ok(connection.request("POST", "/api/users", { body: { ...accounts[n], full_name: `Buyer ${n}` } }), 201);
		return (await login(connection, accounts[n]!)).access_token as string;
	});
	return { products: made, tokens, accounts };
}

/** Spreads over a list without a random number in the hot loop; neighbours in time are far apart. */
const pick = <T>(all: readonly T[], n: number): T => all[(n * 7919) % all.length]!;

export type Scenario = (world: World) => Operation;
const order = (world: World, connection: Connection, n: number, products: readonly string[]) =>
	connection.request("POST", "/api/orders", {
		token: pick(world.tokens, n),
		body: { items: products.map((product_id) => ({ product_id, quantity: 1 })) },
	});

/** Every scenario by its name. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	product: (world) => (connection, n) => connection.request("GET", `/api/products/${pick(world.products, n)}`),
	list: () => (connection) => connection.request("GET", "/api/products?limit=20"),
	search: () => (connection, n) => connection.request("GET", `/api/products?limit=20&q=${WORDS[n % 8]}`),
	login: (world) => (connection, n) => connection.request("POST", "/api/users/login", { body: pick(world.accounts, n) }),
	order: (world) => (connection, n) => order(world, connection, n, [pick(world.products, n)]),
	"order-hot": (world) => (connection, n) => order(world, connection, n, [world.products[0]!]),
	"order-multi": (world) => (connection, n) =>
		order(
			world,
			connection,
			n,
			[0, 1, 2, 3, 4].map((i) => pick(world.products, n * 5 + i)),
		),
	mixed: (world) => (connection, n) =>
		n % 20 === 0
			? order(world, connection, n, [pick(world.products, n)])
			: n % 4 === 0
				? connection.request("GET", "/api/products?limit=20")
				: connection.request("GET", `/api/products/${pick(world.products, n)}`),
};
/** The floor knows these. */
export const floorScenarios = ["product", "list", "order", "order-hot", "order-multi", "mixed"];
