import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, login, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, START_MS, statuses } from "./shape.ts";

export const accounts: Flow = (open) => {
	let shop: AnyShop;
	beforeAll(async () => {
		shop = await open();
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const mailedToken = async (customer: Pick<Customer, "id" | "email">, template: string) =>
		/token=([\w-]+)/.exec(await shop.letter(customer, template))?.[1];

	test("a password reset link works once and revokes existing sessions", async () => {
		const customer = await register(shop);
		const { body: tokens } = await shop.http("POST /api/users/login", {
			body: { email: customer.email, password: customer.password },
		});
		const known = await shop.http("POST /api/users/password-reset", {
			body: { email: customer.email },
		});
		const unknown = await shop.http("POST /api/users/password-reset", {
			body: { email: "unknown@example.com" },
		});
		expect([known.status, unknown.status]).toEqual([202, 202]);
		expect(known.body).toEqual(unknown.body);

		const token = await mailedToken(customer, "password_reset");
		const confirm = (new_password: string) =>
			shop.http("POST /api/users/password-reset/confirm", { body: { token, new_password } });
		expect((await confirm("battery staple")).status).toBe(204);
		expect((await confirm("third password")).body).toMatchObject({
			status: 422,
			code: "INVALID_TOKEN",
		});
		await login(shop, { email: customer.email, password: "battery staple" });
		await eventually(
			async () => expect(new Set(await statuses(shop, customer.token))).toEqual(new Set([401])),
			2,
		);
		const refreshed = await shop.http("POST /api/auth/refresh", {
			body: { refresh_token: tokens.refresh_token },
		});
		expect(refreshed.status).toBe(401);
	});

	test("an access token does not suffice to reset the password", async () => {
		const customer = await register(shop);
		await shop.http("POST /api/users/password-reset", { body: { email: customer.email } });
		const text = await eventually(async () => {
			const { body } = await shop.http("GET /api/notifications", { token: customer.token });
			const { id } = body.find(
				({ template }: { template: string }) => template === "password_reset",
			);
			return (await shop.http(`GET /api/notifications/${id}`, { token: customer.token })).body.text;
		});
		expect(text).not.toContain("token=");
		expect(text).toContain("only in the message that was mailed");
	});

	test("an e-mail change takes effect by its link and is undone by the link to the old address", async () => {
		const customer = await register(shop);
		const first = await mailedToken(customer, "welcome");
		expect(
			(await shop.http("POST /api/users/verify-email", { body: { token: first } })).status,
		).toBe(204);
		const email = `new-${customer.email}`;
		const body = { email, current_password: customer.password };
		const requested = await shop.http(`PATCH /api/users/${customer.id}`, {
			token: customer.token,
			body,
		});
		expect(requested).toMatchObject({
			status: 200,
			body: { email: customer.email, is_verified: true },
		});
		const undo = await mailedToken(customer, "email_change_notice");
		const token = await mailedToken({ ...customer, email }, "email_change");
		expect(
			(await shop.http("POST /api/users/email-change/confirm", { body: { token } })).status,
		).toBe(204);
		await eventually(
			async () => expect(new Set(await statuses(shop, customer.token))).toEqual(new Set([401])),
			2,
		);
		const moved = await login(shop, { ...customer, email });
		for (const { http } of shop.gateways)
			expect((await http("GET /api/users/me", { token: moved })).body).toMatchObject({
				email,
				is_verified: true,
			});

		const restored = await shop.http("POST /api/users/email-change/undo", {
			body: { token: undo, new_password: "battery staple" },
		});
		expect(restored.status).toBe(204);
		await eventually(
			async () => expect(new Set(await statuses(shop, moved))).toEqual(new Set([401])),
			2,
		);
		const back = await login(shop, { ...customer, password: "battery staple" });
		expect((await shop.http("GET /api/users/me", { token: back })).body).toMatchObject({
			email: customer.email,
		});
	});

	test("an access token does not suffice to change the e-mail address", async () => {
		const customer = await register(shop);
		const change = (body: object) =>
			shop.http(`PATCH /api/users/${customer.id}`, { token: customer.token, body });
		expect((await change({ email: `thief-${customer.email}` })).body).toMatchObject({
			status: 422,
			code: "VALIDATION_ERROR",
		});
		const guess = { email: `thief-${customer.email}`, current_password: "wrong horse" };
		expect((await change(guess)).body).toMatchObject({ status: 403, code: "WRONG_PASSWORD" });
		expect((await shop.http("GET /api/users/me", { token: customer.token })).body).toMatchObject({
			email: customer.email,
		});
	});
};
