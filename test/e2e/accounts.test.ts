import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, login, makeAdmin, register } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { type Shop, startShop } from "../support/shop.ts";

let shop: Shop;
let admin: Customer;
beforeAll(async () => {
	shop = await startShop({
		services: ["api", "auth", "users", "notifications", "orders", "products", "inventory", "payments", "shipping"],
	});
	admin = await makeAdmin(shop);
});
afterAll(() => shop?.stop());

/** The token in the link of the latest message of a kind; without a mail server messages are kept, and an admin may read them. */
const mailedToken = (customer: Customer, template: string, reader = admin) =>
	eventually(async () => {
		const { body } = await shop.http(`GET /api/notifications?user_id=${customer.id}`, { token: reader.token });
		const { id } = body.find((message: { template: string; status: string }) => message.template === template && message.status === "kept");
		const { body: message } = await shop.http(`GET /api/notifications/${id}`, { token: reader.token });
		return { text: message.text as string, token: /token=([\w-]+)/.exec(message.text)?.[1] };
	});

test("a forgotten password is replaced through the mailed link, once, and whoever was signed in is not any more", async () => {
	const customer = await register(shop);
	const { body: tokens } = await shop.http("POST /api/users/login", { body: { email: customer.email, password: customer.password } });
	const asked = await shop.http("POST /api/users/password-reset", { body: { email: customer.email } });
	const nobody = await shop.http("POST /api/users/password-reset", { body: { email: "nobody@example.com" } });
	expect([asked.status, nobody.status]).toEqual([202, 202]);
	expect(asked.body).toEqual(nobody.body);

	const { token } = await mailedToken(customer, "password_reset");
	const confirm = (new_password: string) => shop.http("POST /api/users/password-reset/confirm", { body: { token, new_password } });
	expect((await confirm("battery staple")).status).toBe(204);
	expect((await confirm("third password")).body).toMatchObject({ status: 422, code: "INVALID_TOKEN" });
	await login(shop, { email: customer.email, password: "battery staple" });
	await eventually(async () => expect((await shop.http("GET /api/users/me", { token: customer.token })).status).toBe(401), 2);
	const refreshed = await shop.http("POST /api/auth/refresh", { body: { refresh_token: tokens.refresh_token } });
	expect(refreshed.status).toBe(401);
});

test("a stolen access token is not enough to set a new password", async () => {
	const customer = await register(shop);
	await shop.http("POST /api/users/password-reset", { body: { email: customer.email } });
	const { text, token } = await mailedToken(customer, "password_reset", customer);
	expect(token).toBeUndefined();
	expect(text).toContain("only in the message that was mailed");
});

test("a new address is verified by a link that is mailed to it", async () => {
	const customer = await register(shop);
	const { token: first } = await mailedToken(customer, "welcome");
	expect((await shop.http("POST /api/users/verify-email", { body: { token: first } })).status).toBe(204);
	const email = `new-${customer.email}`;
	const moved = await shop.http(`PATCH /api/users/${customer.id}`, { token: customer.token, body: { email } });
	expect(moved.body).toMatchObject({ email, is_verified: false });
	const { token } = await mailedToken(customer, "verify_email");
	expect((await shop.http("POST /api/users/verify-email", { body: { token } })).status).toBe(204);
	expect((await shop.http("GET /api/users/me", { token: customer.token })).body).toMatchObject({ email, is_verified: true });
});
