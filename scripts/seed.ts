import { randomBytes } from "node:crypto";
import type { Call } from "../lib/contract.ts";
import type { Env } from "../lib/env.ts";
import { keep, recall } from "../lib/keep.ts";
import type {} from "../services/products/products.contract.ts";
import type {} from "../services/users/users.contract.ts";

export interface Login {
	readonly label: string;
	readonly email: string;
	readonly role: "admin" | "user";
	/** Undefined when it was changed since we gave it. */
	readonly password: string | undefined;
}

const CATALOGUE_MARK = "catalogue-imported";
const newPassword = () => randomBytes(12).toString("base64url");

/** Makes the administrator whose password is given; with `demo` it is made up where it is not, and there is a customer too. Existing ones stay as they are. */
export async function seedLogins(call: Call, env: Env, folder: string, demo: boolean): Promise<Login[]> {
	const admin = env.ADMIN_PASSWORD ?? (demo ? await keep(folder, "admin-password", newPassword) : undefined);
	const customer = demo ? await keep(folder, "customer-password", newPassword) : undefined;
	return Promise.all([
		...(admin ? [seedLogin(call, { label: "Administrator", email: env.ADMIN_EMAIL, role: "admin", password: admin })] : []),
		...(customer ? [seedLogin(call, { label: "Customer", email: "customer@example.com", role: "user", password: customer })] : []),
	]);
}

async function seedLogin(call: Call, login: Login & { password: string }): Promise<Login> {
	const { label, email, password, role } = login;
	const fits = () =>
		call("users.authenticate", { email, password }).then(
			() => true,
			() => false,
		);
	if (await fits()) return login;
	await call("users.seed", { email, password, full_name: label, role, is_verified: true });
	return (await fits()) ? login : { ...login, password: undefined };
}

/** Fills an empty shop, once: what is taken out of the catalogue later stays out. */
export async function seedCatalogue(call: Call, folder: string, say: (line: string) => void): Promise<void> {
	if (await recall(folder, CATALOGUE_MARK)) return;
	say("Filling the shelves …");
	const { catalogue } = await import("./demo-catalogue.ts");
	await call("products.import", { products: catalogue });
	await keep(folder, CATALOGUE_MARK, () => new Date().toISOString());
}

/** The id of a product that can be ordered right now, if there is one among the first few. */
export async function findSomethingInStock(call: Call): Promise<string | undefined> {
	const { rows } = await call("products.list", { limit: 10 });
	for (const { id } of rows) if ((await call("inventory.get", { product_id: id })).available > 0) return id;
	return undefined;
}
