import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./users.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
});
afterAll(() => shop?.stop());

const register = () =>
	shop.call("users.create", {
		email: `${uuid()}@example.com`,
		password: "correct horse",
		full_name: "Zoë",
	});
type User = Awaited<ReturnType<typeof register>>;
const request = (user: User) => shop.call("users.requestVerification", {}, { meta: { user } });
const query = (text: string, id: string) => shop.databases.query("users", text, [id]);
const requestsOf = async ({ id }: User) =>
	(
		await query(
			"select 1 from outbox where subject = $1 and type = 'user.verification_requested'",
			id,
		)
	).length;

test("a request publishes an event, and concurrent or repeated ones have no effect", async () => {
	const zoe = await register();
	const results = await Promise.all([request(zoe), request(zoe), request(zoe)]);
	expect(new Set(results.map(({ message }) => message)).size).toBe(1);
	expect(await requestsOf(zoe)).toBe(1);
	await request(zoe);
	expect(await requestsOf(zoe)).toBe(1);
	const minuteAgo = "now() - interval '61 seconds'";
	await query(`update users set verification_requested_at = ${minuteAgo} where id = $1`, zoe.id);
	await request(zoe);
	expect(await requestsOf(zoe)).toBe(2);
});

test("a request is refused for a verified address and for an inactive user", async () => {
	const zoe = await register();
	const { token } = await shop.call("users.issueVerification", { user_id: zoe.id });
	await shop.call("users.verifyEmail", { token });
	await expect(request(zoe)).rejects.toMatchObject({ type: "EMAIL_VERIFIED", code: 409 });
	const inactive = await register();
	await shop.call("users.remove", { id: inactive.id }, { meta: { user: admin } });
	await expect(request(inactive)).rejects.toMatchObject({ type: "UNAUTHENTICATED", code: 401 });
	expect([await requestsOf(zoe), await requestsOf(inactive)]).toEqual([0, 0]);
});
