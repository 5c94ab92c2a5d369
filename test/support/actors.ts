import { randomBytes } from "node:crypto";
import { eventually } from "./eventually.ts";
import type { Shop } from "./shop.ts";

export interface Customer {
	readonly id: string;
	readonly email: string;
	readonly password: string;
	readonly token: string;
}
type Http = Pick<Shop, "http">;

const unique = () => randomBytes(6).toString("hex");

/** Registers somebody new over HTTP and logs them in. */
export async function register(shop: Http): Promise<Customer> {
	const account = {
		email: `${unique()}@example.com`,
		password: "correct horse",
		full_name: "A Customer",
	};
	const { body: user } = await shop.http("POST /api/users", { body: account });
	return { ...account, id: user.id, token: await login(shop, account) };
}
export async function login(
	shop: Http,
	{ email, password }: { email: string; password: string },
): Promise<string> {
	const { body } = await shop.http("POST /api/users/login", { body: { email, password } });
	return body.access_token;
}
/** An administrator, as the first start makes one. */
export async function makeAdmin(shop: Http & Pick<Shop, "call">): Promise<Customer> {
	const account = { email: `admin-${unique()}@example.com`, password: "correct horse admin" };
	// In a cluster a busy node may be missed for a moment.
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
/** A product in the catalogue, with stock. */
export async function makeProduct(
	shop: Http,
	admin: Customer,
	over: object = {},
): Promise<{ id: string; price: number }> {
	const body = { name: `Product ${unique()}`, price: 10, category: "Things", stock: 100, ...over };
	return (await shop.http("POST /api/products", { token: admin.token, body })).body;
}
