import { randomBytes } from "node:crypto";
import type { Client, ParamsOf, ResultOf } from "../../clients/typescript/src/index.ts";
import { clientOf } from "./client.ts";
import { eventually } from "./eventually.ts";
import type { Http, HttpResponse } from "./http.ts";
import { afterOutage, repeatUntil } from "./outages.ts";
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
	const customer = await afterOutage(async () => {
		const account = {
			email: `${unique()}@example.com`,
			password: "correct horse",
			full_name: "A Customer",
		};
		const { id } = await clientOf(shop).users.create(account);
		return { ...account, id };
	});
	return { ...customer, token: await login(shop, customer) };
}
/** @returns a new access token */
export async function login(
	shop: HttpClient,
	{ email, password }: Pick<Customer, "email" | "password">,
): Promise<string> {
	const { auth } = clientOf(shop);
	return (await afterOutage(() => auth.login({ email, password }))).access_token;
}
/** Creates an administrator in the way of the first start, and logs in. */
export async function makeAdmin(shop: HttpClient & Pick<Shop, "call">): Promise<Customer> {
	const account = { email: `admin-${unique()}@example.com`, password: "correct horse admin" };
	const user = await afterOutage(() =>
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
	const { products } = clientOf(shop, admin);
	const product = {
		name: `Product ${unique()}`,
		price: 10,
		category: "Things",
		stock: 100,
		...overrides,
	};
	const idempotencyKey = unique();
	return afterOutage(() => products.create(product, { idempotencyKey }));
}
/** Body of POST /api/orders: one piece of the product unless `overrides` differ. */
export const orderRequest = (product: { readonly id: string }, overrides: object = {}) => ({
	items: [{ product_id: product.id, quantity: 1 }],
	...overrides,
});
/**
 * Places an order over HTTP and follows it, see {@link untilSettled}.
 * @returns the response, also of a rejected order
 */
export const placeOrder = (
	shop: HttpClient,
	{ token }: Pick<Customer, "token">,
	product: { readonly id: string },
	overrides: object = {},
	headers: Record<string, string> = {},
): Promise<HttpResponse> =>
	untilSettled((key) =>
		shop.http("POST /api/orders", {
			token,
			headers: { "idempotency-key": key, ...headers },
			body: orderRequest(product, overrides),
		}),
	);
/**
 * Places an order and follows it to the end of its saga, or until the buyer must confirm its
 * payment. On a busy machine, the saga may outlast the request, whose response is then a pending
 * order. A repetition with the same idempotency key returns the final response.
 * @param place sends the request with the key: through a client, over HTTP, or as a call
 * @returns the final response
 * @throws the error of a rejected order, if `place` throws it
 */
export const untilSettled = <T>(place: (idempotencyKey: string) => PromiseLike<T>): Promise<T> => {
	const key = unique();
	return repeatUntil(
		(outcome) => isSettled(outcome.status === "fulfilled" ? outcome.value : outcome.reason),
		() => place(key),
	);
};
/** Whether a response, its order or its error is the final one. */
function isSettled(response: unknown): boolean {
	const { body, value, status, payment, code, type } = response as Record<string, unknown>;
	if (body || value) return isSettled(body ?? value);
	if (code === "IDEMPOTENCY_KEY_IN_USE" || type === "IDEMPOTENCY_KEY_IN_USE") return false;
	return status !== "pending" || Boolean(payment);
}
/** Cancels an order and waits for the end of its compensation, which may outlast the request. */
export async function cancelOrder(
	{ orders }: Pick<Client, "orders">,
	params: ParamsOf<"orders.cancel">,
): Promise<ResultOf<"orders.cancel">> {
	const order = await orders.cancel(params);
	if (order.status === "cancelled") return order;
	return eventually(async () => {
		const found = await orders.get({ id: order.id });
		if (found.status !== "cancelled") throw new Error(`The order ${order.id} is ${found.status}`);
		return found;
	});
}
