import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, login, makeAdmin, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, START_MS, statuses } from "./shape.ts";

/** Guaranteed maximum delay of a revocation. */
const MAX_SECONDS = 2;

export const revocation: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const everywhere = (status: number) => shop.gateways.map(() => status);
	const expectAccepted = async (token: string) =>
		expect(await statuses(shop, token)).toEqual(everywhere(200));
	const expectRejected = (token: string) =>
		eventually(
			async () => expect(await statuses(shop, token)).toEqual(everywhere(401)),
			MAX_SECONDS,
		);

	test.each<[string, (customer: Customer) => [request: string, options: object]]>([
		["was deactivated", ({ id }) => [`DELETE /api/users/${id}`, { token: admin.token }]],
		[
			"received another role",
			({ id }) => [`PATCH /api/users/${id}`, { token: admin.token, body: { role: "admin" } }],
		],
		["logged out everywhere", ({ token }) => ["POST /api/auth/logout-everywhere", { token }]],
	])("every gateway rejects the token of a user who %s within two seconds", async (_what, act) => {
		// Once through each gateway, so that each also receives the revocation from another one.
		for (const { http } of shop.gateways) {
			const customer = await register(shop);
			await expectAccepted(customer.token);
			const [request, options] = act(customer);
			expect((await http(request, options)).status).toBeLessThan(300);
			await expectRejected(customer.token);
		}
		await expectAccepted(admin.token);
	});

	test("a password change revokes all tokens except the one that was used", async () => {
		const customer = await register(shop);
		const other = await login(shop, customer);
		const body = { current_password: customer.password, new_password: "battery staple" };
		const { status } = await shop.http(`POST /api/users/${customer.id}/password`, {
			token: customer.token,
			body,
		});
		expect(status).toBe(204);
		await expectRejected(other);
		await expectAccepted(customer.token);
		await expectAccepted(await login(shop, { ...customer, password: "battery staple" }));
	});

	test("a logout by refresh token revokes the access token on every gateway", async () => {
		const customer = await register(shop);
		const { body: tokens } = await shop.http("POST /api/users/login", {
			body: { email: customer.email, password: customer.password },
		});
		const { refresh_token } = tokens;
		expect((await shop.http("POST /api/auth/logout", { body: { refresh_token } })).status).toBe(
			204,
		);
		await expectRejected(tokens.access_token);
		await expectAccepted(customer.token);
	});
};
