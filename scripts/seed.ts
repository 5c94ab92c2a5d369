import { randomBytes } from "node:crypto";
import type { Call } from "../lib/contracts/contract.ts";
import { readOrCreateSecret, readSecret } from "../lib/process/secret-file.ts";
import type { Env } from "../lib/settings/env.ts";
import type {} from "../services/products/products.contract.ts";
import type {} from "../services/users/users.contract.ts";

export interface Login {
	readonly label: string;
	readonly email: string;
	readonly role: "admin" | "user";
	/** Undefined if login fails: the password was changed, or the account does not exist. */
	readonly password: string | undefined;
}

const CATALOGUE_MARK = "catalogue-imported";
const newPassword = () => randomBytes(12).toString("base64url");

/**
 * The password with which the users service creates the first administrator. A demo shop generates
 * one and stores it in `folder`.
 */
export async function adminPassword(
	{ ADMIN_PASSWORD }: Env,
	folder: string,
	demo: boolean,
): Promise<string | undefined> {
	return (
		ADMIN_PASSWORD ?? (demo ? readOrCreateSecret(folder, "admin-password", newPassword) : undefined)
	);
}

/** The accounts on the start screen. With `demo`, creates the customer if it does not exist. */
export async function seedLogins(
	call: Call,
	{ ADMIN_EMAIL, ADMIN_PASSWORD }: Env,
	folder: string,
	demo: boolean,
): Promise<Login[]> {
	const admin = {
		label: "Administrator",
		email: ADMIN_EMAIL,
		role: "admin",
		password: ADMIN_PASSWORD,
	} as const;
	const customer = { label: "Customer", email: "customer@example.com", role: "user" } as const;
	return Promise.all([
		...(ADMIN_PASSWORD ? [tryLogin(call, admin)] : []),
		...(demo
			? [
					seedCustomer(call, {
						...customer,
						password: await readOrCreateSecret(folder, "customer-password", newPassword),
					}),
				]
			: []),
	]);
}

async function seedCustomer(call: Call, login: Login & { password: string }): Promise<Login> {
	const { label, email, password, role } = login;
	const found = await tryLogin(call, login);
	if (found.password) return found;
	await call("users.seed", { email, password, full_name: label, role, is_verified: true });
	return tryLogin(call, login);
}

/** The login, without its password if login fails. */
async function tryLogin(call: Call, login: Login): Promise<Login> {
	const { email, password = "" } = login;
	return call("users.authenticate", { email, password }).then(
		() => login,
		() => ({ ...login, password: undefined }),
	);
}

/** Imports the demo catalogue once, so that products that are deleted later stay deleted. */
export async function seedCatalogue(
	call: Call,
	folder: string,
	print: (line: string) => void,
): Promise<void> {
	if (await readSecret(folder, CATALOGUE_MARK)) return;
	print("Importing the demo catalogue …");
	const { catalogue } = await import("./demo-catalogue.ts");
	await call("products.import", { products: catalogue });
	await readOrCreateSecret(folder, CATALOGUE_MARK, () => new Date().toISOString());
}

/** Id of a product in stock, among the first ten; undefined if there is none. */
export async function findSomethingInStock(call: Call): Promise<string | undefined> {
	const { rows } = await call("products.list", { limit: 10 });
	for (const { id } of rows)
		if ((await call("inventory.get", { product_id: id })).available > 0) return id;
	return undefined;
}
