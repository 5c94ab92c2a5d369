import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, login, makeAdmin, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, START_MS, statuses } from "./shape.ts";

/** What is promised. */
const SECONDS = 2;

export const revocation: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const everywhere = (status: number) => shop.gateways.map(() => status);
	const accepted = async (token: string) =>
		expect(await statuses(shop, token)).toEqual(everywhere(200));
	const refused = (token: string) =>
		eventually(async () => expect(await statuses(shop, token)).toEqual(everywhere(401)), SECONDS);

	test.each<[string, (customer: Customer) => [request: string, options: object]]>([
		["was deactivated", ({ id }) => [`DELETE /api/users/${id}`, { token: admin.token }]],
		[
			"got another role",
			({ id }) => [`PATCH /api/users/${id}`, { token: admin.token, body: { role: "admin" } }],
		],
		["signed out everywhere", ({ token }) => ["POST /api/auth/logout-everywhere", { token }]],
	])(
		"the token of a user who %s is refused by every gateway within two seconds",
		async (_what, act) => {
			// Once through each gateway, so that each has to hear of it from another one.
			for (const { http } of shop.gateways) {
				const customer = await register(shop);
				await accepted(customer.token);
				const [request, options] = act(customer);
				expect((await http(request, options)).status).toBeLessThan(300);
				await refused(customer.token);
			}
			await accepted(admin.token);
		},
	);

	test("a changed password leaves the token good with which it was changed, and no other", async () => {
		const customer = await register(shop);
		const other = await login(shop, customer);
		const body = { current_password: customer.password, new_password: "battery staple" };
		const { status } = await shop.http(`POST /api/users/${customer.id}/password`, {
			token: customer.token,
			body,
		});
		expect(status).toBe(204);
		await refused(other);
		await accepted(customer.token);
		await accepted(await login(shop, { ...customer, password: "battery staple" }));
	});

	test("who signs out is out on every gateway, where the refresh token alone told who it was", async () => {
		const customer = await register(shop);
		const { body: tokens } = await shop.http("POST /api/users/login", {
			body: { email: customer.email, password: customer.password },
		});
		const { refresh_token } = tokens;
		expect((await shop.http("POST /api/auth/logout", { body: { refresh_token } })).status).toBe(
			204,
		);
		await refused(tokens.access_token);
		await accepted(customer.token);
	});
};
