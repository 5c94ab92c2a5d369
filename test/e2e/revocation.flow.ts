import { expect, test } from "@jest/globals";
import type { Client } from "../../clients/typescript/src/index.ts";
import { type Customer, login, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, statuses, useShop } from "./shape.ts";

export const revocation: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	useShop(open, (...started) => {
		[shop, admin] = started;
	});

	const everywhere = (status: number) => shop.gateways.map(() => status);
	const expectAccepted = async (token: string) =>
		expect(await statuses(shop, token)).toEqual(everywhere(200));
	const expectRejected = (token: string) =>
		eventually(async () => expect(await statuses(shop, token)).toEqual(everywhere(401)));

	type Act = (root: Client, self: Client, id: string) => Promise<unknown>;
	test.each<[string, Act]>([
		["was deactivated", ({ users }, _, id) => users.remove({ id })],
		["received another role", ({ users }, _, id) => users.update({ id, role: "admin" })],
		["logged out everywhere", (_, { auth }) => auth.logoutEverywhere()],
	])("every gateway rejects the token of a user who %s", async (_what, act) => {
		// Once through each gateway, so that each also receives the revocation from another one.
		for (const gateway of shop.gateways) {
			const customer = await register(shop);
			await expectAccepted(customer.token);
			await act(clientOf(gateway, admin), clientOf(gateway, customer), customer.id);
			await expectRejected(customer.token);
		}
		await expectAccepted(admin.token);
	});

	test("a password change revokes all tokens except the one that was used", async () => {
		const customer = await register(shop);
		const other = await login(shop, customer);
		const { id, password } = customer;
		const change = { id, current_password: password, new_password: "battery staple" };
		const changed = clientOf(shop, customer).users.changePassword(change);
		expect((await changed.withResponse()).status).toBe(204);
		await expectRejected(other);
		await expectAccepted(customer.token);
		await expectAccepted(await login(shop, { ...customer, password: "battery staple" }));
	});

	test("a logout by refresh token revokes the access token on every gateway", async () => {
		const customer = await register(shop);
		const { auth } = clientOf(shop);
		const { email, password } = customer;
		const { access_token, refresh_token } = await auth.login({ email, password });
		expect((await auth.logout({ refresh_token }).withResponse()).status).toBe(204);
		await expectRejected(access_token);
		await expectAccepted(customer.token);
	});
};
