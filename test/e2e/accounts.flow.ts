import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, login, register } from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, statuses } from "./shape.ts";

export const accounts: Flow = (open) => {
	let shop: AnyShop;
	beforeAll(async () => {
		shop = await open();
	});
	afterAll(() => shop?.stop());

	const mailedToken = async (customer: Pick<Customer, "id" | "email">, template: string) =>
		/token=([\w-]+)/.exec(await shop.letter(customer, template))![1]!;

	test("a password reset link works once and revokes existing sessions", async () => {
		const customer = await register(shop);
		const { auth, users } = clientOf(shop);
		const { email, password } = customer;
		const { refresh_token } = await auth.login({ email, password });
		const request = (address: string) =>
			users.requestPasswordReset({ email: address }).withResponse();
		const [known, unknown] = [await request(email), await request("unknown@example.com")];
		expect([known.status, unknown.status]).toEqual([202, 202]);
		expect(known.value).toEqual(unknown.value);

		const token = await mailedToken(customer, "password_reset");
		const confirm = (new_password: string) => users.resetPassword({ token, new_password });
		expect((await confirm("battery staple").withResponse()).status).toBe(204);
		expect(await problemOf(confirm("third password"))).toMatchObject({
			status: 422,
			code: "INVALID_TOKEN",
		});
		await login(shop, { email, password: "battery staple" });
		await eventually(async () =>
			expect(new Set(await statuses(shop, customer.token))).toEqual(new Set([401])),
		);
		expect(await problemOf(auth.refresh({ refresh_token }))).toMatchObject({ status: 401 });
	});

	test("a user verifies the address with a link that was requested again", async () => {
		const customer = await register(shop);
		const { users } = clientOf(shop, customer);
		await mailedToken(customer, "welcome");
		expect((await users.requestVerification().withResponse()).status).toBe(202);
		const token = await mailedToken(customer, "verify_email");
		await users.verifyEmail({ token });
		expect(await users.me()).toMatchObject({ is_verified: true });
		expect(await problemOf(users.requestVerification())).toMatchObject({
			status: 409,
			code: "EMAIL_VERIFIED",
		});
	});

	test("an access token does not suffice to reset the password", async () => {
		const customer = await register(shop);
		const { notifications, users } = clientOf(shop, customer);
		await users.requestPasswordReset({ email: customer.email });
		const text = await eventually(async () => {
			const messages = await notifications.list();
			const { id } = messages.find(({ template }) => template === "password_reset")!;
			return (await notifications.get({ id })).text;
		});
		expect(text).not.toContain("token=");
		expect(text).toContain("only in the message that was mailed");
	});

	test("an e-mail change takes effect by its link, and the old address undoes it", async () => {
		const customer = await register(shop);
		const first = await mailedToken(customer, "welcome");
		const { users } = clientOf(shop, customer);
		expect((await users.verifyEmail({ token: first }).withResponse()).status).toBe(204);
		const email = `new-${customer.email}`;
		const change = { email, current_password: customer.password };
		const requested = await users.update({ id: customer.id, ...change }).withResponse();
		expect(requested).toMatchObject({
			status: 200,
			value: { email: customer.email, is_verified: true },
		});
		const undo = await mailedToken(customer, "email_change_notice");
		const token = await mailedToken({ ...customer, email }, "email_change");
		expect((await users.confirmEmailChange({ token }).withResponse()).status).toBe(204);
		await eventually(async () =>
			expect(new Set(await statuses(shop, customer.token))).toEqual(new Set([401])),
		);
		const moved = await login(shop, { ...customer, email });
		for (const gateway of shop.gateways)
			expect(await clientOf(gateway, { token: moved }).users.me()).toMatchObject({
				email,
				is_verified: true,
			});

		const restored = users.undoEmailChange({ token: undo, new_password: "battery staple" });
		expect((await restored.withResponse()).status).toBe(204);
		await eventually(async () =>
			expect(new Set(await statuses(shop, moved))).toEqual(new Set([401])),
		);
		const back = await login(shop, { ...customer, password: "battery staple" });
		expect(await clientOf(shop, { token: back }).users.me()).toMatchObject({
			email: customer.email,
		});
	});

	test("an access token does not suffice to change the e-mail address", async () => {
		const customer = await register(shop);
		const { users } = clientOf(shop, customer);
		const email = `thief-${customer.email}`;
		const change = (password?: string) =>
			problemOf(
				users.update({
					...{ id: customer.id, email },
					...(password ? { current_password: password } : {}),
				}),
			);
		expect(await change()).toMatchObject({ status: 422, code: "VALIDATION_ERROR" });
		expect(await change("wrong horse")).toMatchObject({ status: 403, code: "WRONG_PASSWORD" });
		expect(await users.me()).toMatchObject({ email: customer.email });
	});
};
