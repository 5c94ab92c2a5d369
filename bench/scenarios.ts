import type { Connection, HttpResponse } from "./client.ts";
import type { Operation } from "./load.ts";
import { COMMON_WORDS, type SeedHistory } from "./past.ts";
import { BUYER_PASSWORD } from "./shop-past.ts";

/** What the scenarios buy and who buys. */
export interface ScenarioData {
	readonly history: SeedHistory;
	/** Of the first users there are. */
	readonly tokens: readonly string[];
}
export interface Scenario {
	readonly description: string;
	operation(world: ScenarioData): Operation;
	/** What goes on beside it, unmeasured, and by how many clients. */
	readonly background?: { readonly clients: number; operation(world: ScenarioData): Operation };
	/** Whether the floor can do it as well. */
	readonly runsOnFloor?: true;
}

/** Spreads over `count` of something without a random number in the hot loop; neighbours in time are far apart. */
export const spread = (count: number, n: number): number => (n * 7919) % count;
export const productId = ({ history }: ScenarioData, n: number): string => history.id("product", spread(history.size.products, n));
const get = (path: (world: ScenarioData, n: number) => string) => (world: ScenarioData) => (connection: Connection, n: number) =>
	connection.request("GET", path(world, n));

function placeOrder({ tokens }: ScenarioData, connection: Connection, n: number, products: readonly string[]): Promise<HttpResponse> {
	const items = products.map((product_id) => ({ product_id, quantity: 1 }));
	return connection.request("POST", "/api/orders", { token: tokens[spread(tokens.length, n)], body: { items } });
}
export const placeOrderOfOneItem = (world: ScenarioData, connection: Connection, n: number): Promise<HttpResponse> =>
	placeOrder(world, connection, n, [productId(world, n)]);
const login =
	({ history }: ScenarioData) =>
	(connection: Connection, n: number) =>
		connection.request("POST", "/api/users/login", {
			body: { email: `buyer${spread(history.size.users, n)}@example.com`, password: BUYER_PASSWORD },
		});
const product = get((world, n) => `/api/products/${productId(world, n)}`);
const LIST_PATH = "/api/products?limit=20";

/** Every scenario by its name. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	product: { description: "one product by its id", operation: product, runsOnFloor: true },
	list: { description: "the first page of the catalogue", operation: get(() => LIST_PATH), runsOnFloor: true },
	search: {
		description: "a word that an eighth of the catalogue has",
		operation: get((_, n) => `${LIST_PATH}&q=${COMMON_WORDS[n % COMMON_WORDS.length]}`),
	},
	login: { description: "e-mail and password, another user each time", operation: login },
	order: {
		description: "one line, any product",
		operation: (world) => (connection, n) => placeOrderOfOneItem(world, connection, n),
		runsOnFloor: true,
	},
	"order-hot": {
		description: "one line, the same product for all",
		operation: (world) => (connection, n) => placeOrder(world, connection, n, [productId(world, 0)]),
		runsOnFloor: true,
	},
	"order-multi": {
		description: "five lines",
		operation: (world) => (connection, n) =>
			placeOrder(
				world,
				connection,
				n,
				[0, 1, 2, 3, 4].map((i) => productId(world, n * 5 + i)),
			),
		runsOnFloor: true,
	},
	mixed: {
		description: "95 % reads: 70 % products, 25 % lists; 5 % orders",
		operation: (world) => (connection, n) =>
			n % 20 === 0
				? placeOrderOfOneItem(world, connection, n)
				: n % 4 === 1
					? connection.request("GET", LIST_PATH)
					: connection.request("GET", `/api/products/${productId(world, n)}`),
		runsOnFloor: true,
	},
	"product-during-logins": {
		description: "one product by its id, while 16 clients log in without a pause",
		operation: product,
		background: { clients: 16, operation: login },
	},
};
