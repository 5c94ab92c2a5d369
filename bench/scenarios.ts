import type { Connection, Reply } from "./client.ts";
import type { Operation } from "./load.ts";
import { type Past, WORDS } from "./past.ts";
import { PASSWORD } from "./shop-past.ts";

/** What the scenarios buy and who buys. */
export interface World {
	readonly past: Past;
	/** Of the first users there are. */
	readonly tokens: readonly string[];
}
export interface Scenario {
	readonly about: string;
	operation(world: World): Operation;
	/** What goes on beside it, unmeasured, and by how many clients. */
	readonly beside?: { readonly clients: number; operation(world: World): Operation };
	/** Whether the floor can do it as well. */
	readonly floor?: true;
}

/** Spreads over `count` of something without a random number in the hot loop; neighbours in time are far apart. */
export const pick = (count: number, n: number): number => (n * 7919) % count;
export const productId = ({ past }: World, n: number): string => past.id("product", pick(past.size.products, n));
const get = (path: (world: World, n: number) => string) => (world: World) => (connection: Connection, n: number) =>
	connection.request("GET", path(world, n));

function order({ tokens }: World, connection: Connection, n: number, products: readonly string[]): Promise<Reply> {
	const items = products.map((product_id) => ({ product_id, quantity: 1 }));
	return connection.request("POST", "/api/orders", { token: tokens[pick(tokens.length, n)], body: { items } });
}
export const orderOne = (world: World, connection: Connection, n: number): Promise<Reply> =>
	order(world, connection, n, [productId(world, n)]);
const login =
	({ past }: World) =>
	(connection: Connection, n: number) =>
		connection.request("POST", "/api/users/login", {
			body: { email: `buyer${pick(past.size.users, n)}@example.com`, password: PASSWORD },
		});
const product = get((world, n) => `/api/products/${productId(world, n)}`);
const LIST = "/api/products?limit=20";

/** Every scenario by its name. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	product: { about: "one product by its id", operation: product, floor: true },
	list: { about: "the first page of the catalogue", operation: get(() => LIST), floor: true },
	search: { about: "a word that an eighth of the catalogue has", operation: get((_, n) => `${LIST}&q=${WORDS[n % WORDS.length]}`) },
	login: { about: "e-mail and password, another user each time", operation: login },
	order: { about: "one line, any product", operation: (world) => (connection, n) => orderOne(world, connection, n), floor: true },
	"order-hot": {
		about: "one line, the same product for all",
		operation: (world) => (connection, n) => order(world, connection, n, [productId(world, 0)]),
		floor: true,
	},
	"order-multi": {
		about: "five lines",
		operation: (world) => (connection, n) =>
			order(
				world,
				connection,
				n,
				[0, 1, 2, 3, 4].map((i) => productId(world, n * 5 + i)),
			),
		floor: true,
	},
	mixed: {
		about: "95 % reads: 70 % products, 25 % lists; 5 % orders",
		operation: (world) => (connection, n) =>
			n % 20 === 0
				? orderOne(world, connection, n)
				: n % 4 === 1
					? connection.request("GET", LIST)
					: connection.request("GET", `/api/products/${productId(world, n)}`),
		floor: true,
	},
	"product-during-logins": {
		about: "one product by its id, while 16 clients log in without a pause",
		operation: product,
		beside: { clients: 16, operation: login },
	},
};
