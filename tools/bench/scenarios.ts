import type { Connection, HttpResponse } from "./client.ts";
import type { Operation } from "./load.ts";
import { cartToken } from "./seed-carts.ts";
import { BUYER_PASSWORD, COMMON_WORDS, type SeedHistory } from "./seed-history.ts";

/** Data that the scenarios use. */
export interface ScenarioData {
	readonly history: SeedHistory;
	/** Access tokens of the first users. */
	readonly tokens: readonly string[];
}
export interface Scenario {
	readonly description: string;
	operation(data: ScenarioData): Operation;
	/** Unmeasured load during the measurement. */
	readonly background?: { readonly clients: number; operation(data: ScenarioData): Operation };
	/** Present if the scenario requires carts. */
	readonly usesCarts?: true;
	/** Present if each operation orders a cart, which can be ordered once. */
	readonly ordersCarts?: true;
	/** Present if the floor implements the operations. */
	readonly runsOnFloor?: true;
}

/**
 * Maps `n` to an index below `count`. Successive indexes are far apart. Replaces random numbers,
 * which would cost time in the hot loop.
 */
export const spread = (count: number, n: number): number => (n * 7919) % count;
const productId = ({ history }: ScenarioData, n: number): string =>
	history.id("product", spread(history.size.products, n));
const get =
	(path: (data: ScenarioData, n: number) => string) =>
	(data: ScenarioData) =>
	(connection: Connection, n: number) =>
		connection.request("GET", path(data, n));

function placeOrder(
	{ tokens }: ScenarioData,
	connection: Connection,
	n: number,
	products: readonly string[],
): Promise<HttpResponse> {
	const items = products.map((product_id) => ({ product_id, quantity: 1 }));
	return connection.request("POST", "/api/orders", {
		token: tokens[spread(tokens.length, n)],
		body: { items },
	});
}
export const placeOrderOfOneItem = (
	data: ScenarioData,
	connection: Connection,
	n: number,
): Promise<HttpResponse> => placeOrder(data, connection, n, [productId(data, n)]);
const login =
	({ history }: ScenarioData) =>
	(connection: Connection, n: number) =>
		connection.request("POST", "/api/users/login", {
			body: {
				email: `buyer${spread(history.size.users, n)}@example.com`,
				password: BUYER_PASSWORD,
			},
		});
const product = get((data, n) => `/api/products/${productId(data, n)}`);
/** Path of a seed cart. The first tenth is changed repeatedly, every other cart is ordered once. */
const cartPath = ({ history }: ScenarioData, n: number): string =>
	`/api/carts/${history.id("cart", n)}`;
const changedCarts = ({ history }: ScenarioData): number => Math.floor(history.size.carts / 10);
/** Above every total, so that each cart is ordered at its price. */
const EXPECTED_TOTAL = 1000;
const LIST_PATH = "/api/products?limit=20";

/** Scenarios by name. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	product: { description: "one product by id", operation: product, runsOnFloor: true },
	list: {
		description: "first page of the catalogue",
		operation: get(() => LIST_PATH),
		runsOnFloor: true,
	},
	search: {
		description: "search for a word that one eighth of the catalogue contains",
		operation: get((_, n) => `${LIST_PATH}&q=${COMMON_WORDS[n % COMMON_WORDS.length]}`),
	},
	login: {
		description: "login with e-mail and password, a different user each time",
		operation: login,
		runsOnFloor: true,
	},
	order: {
		description: "order with one line, varying products",
		operation: (data) => (connection, n) => placeOrderOfOneItem(data, connection, n),
		runsOnFloor: true,
	},
	"order-hot": {
		description: "order with one line, the same product for all buyers",
		operation: (data) => (connection, n) => placeOrder(data, connection, n, [productId(data, 0)]),
		runsOnFloor: true,
	},
	"order-multi": {
		description: "order with five lines",
		operation: (data) => (connection, n) =>
			placeOrder(
				data,
				connection,
				n,
				[0, 1, 2, 3, 4].map((i) => productId(data, n * 5 + i)),
			),
		runsOnFloor: true,
	},
	"cart-change": {
		description: "quantity of a line of a cart with a coupon, tax and shipping costs",
		operation: (data) => (connection, n) => {
			const cart = spread(changedCarts(data), n);
			const product = data.history.id("product", (cart * 7919) % data.history.size.products);
			return connection.request("PUT", `${cartPath(data, cart)}/lines/${product}`, {
				cartToken: cartToken(cart),
				body: { quantity: 1 + (n % 5) },
			});
		},
		usesCarts: true,
	},
	checkout: {
		description: "order from a cart with one line, a coupon, tax and shipping costs",
		operation: (data) => (connection, n) => {
			const cart = changedCarts(data) + n;
			return connection.request("POST", `${cartPath(data, cart)}/checkout`, {
				cartToken: cartToken(cart),
				body: { expected_total: EXPECTED_TOTAL },
			});
		},
		usesCarts: true,
		ordersCarts: true,
	},
	mixed: {
		description: "70 % product, 25 % list, 5 % order",
		operation: (data) => (connection, n) =>
			n % 20 === 0
				? placeOrderOfOneItem(data, connection, n)
				: n % 4 === 1
					? connection.request("GET", LIST_PATH)
					: connection.request("GET", `/api/products/${productId(data, n)}`),
		runsOnFloor: true,
	},
	"product-during-logins": {
		description: "product, while 16 clients log in continuously",
		operation: product,
		background: { clients: 16, operation: login },
	},
};
