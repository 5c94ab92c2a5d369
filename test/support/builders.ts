import { randomBytes } from "node:crypto";
import type { ResultOf } from "../../clients/typescript/src/index.ts";
import { clientOf } from "./client.ts";
import { eventually } from "./eventually.ts";
import type { Http, HttpResponse } from "./http.ts";
import type { Shop } from "./shop.ts";

export interface Customer {
	readonly id: string;
	readonly email: string;
	readonly password: string;
	readonly token: string;
}
interface HttpClient {
	readonly http: Http;
}

const unique = () => randomBytes(6).toString("hex");

/** Registers a new customer over HTTP and logs in. */
export async function register(shop: HttpClient): Promise<Customer> {
	const account = {
		email: `${unique()}@example.com`,
		password: "correct horse",
		full_name: "A Customer",
	};
	const { id } = await clientOf(shop).users.create(account);
	return { ...account, id, token: await login(shop, account) };
}
/** @returns a new access token */
export async function login(
	shop: HttpClient,
	{ email, password }: Pick<Customer, "email" | "password">,
): Promise<string> {
	return (await clientOf(shop).auth.login({ email, password })).access_token;
}
/** Creates an administrator in the way of the first start, and logs in. */
export async function makeAdmin(shop: HttpClient & Pick<Shop, "call">): Promise<Customer> {
	const account = { email: `admin-${unique()}@example.com`, password: "correct horse admin" };
	// On a busy machine a cluster may miss a node's heartbeat and reject the call.
	const user = await eventually(() =>
		shop.call("users.seed", {
			...account,
			full_name: "An Admin",
			role: "admin",
			is_verified: true,
		}),
	);
	return { ...account, id: user.id, token: await login(shop, account) };
}
/** Creates a product with stock: 100 pieces at 10.00 unless `overrides` differ. */
export async function makeProduct(
	shop: HttpClient,
	admin: Pick<Customer, "token">,
	overrides: object = {},
): Promise<ResultOf<"products.create">> {
	return clientOf(shop, admin).products.create({
		name: `Product ${unique()}`,
		price: 10,
		category: "Things",
		stock: 100,
		...overrides,
	});
}
/** Body of POST /api/orders: one piece of the product unless `overrides` differ. */
export const orderRequest = (product: { readonly id: string }, overrides: object = {}) => ({
	items: [{ product_id: product.id, quantity: 1 }],
	...overrides,
});
/** Places an order over HTTP. @returns the response, also of a rejected order */
export const placeOrder = (
	shop: HttpClient,
	{ token }: Pick<Customer, "token">,
	product: { readonly id: string },
	overrides: object = {},
	headers: Record<string, string> = {},
): Promise<HttpResponse> =>
	shop.http("POST /api/orders", { token, headers, body: orderRequest(product, overrides) });
