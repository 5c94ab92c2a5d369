import { afterAll, beforeAll, expect, test } from "@jest/globals";
import bcrypt from "bcryptjs";
import { v7 as uuid } from "uuid";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./users.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
});
afterAll(() => shop?.stop());

const password = "correct horse";
const register = (more: { password?: string } = {}) =>
	shop.call("users.create", { email: `${uuid()}@example.com`, password, full_name: "Zoë", ...more });
const issue = async (user_id: string, email?: string) =>
	(await shop.call("users.issueVerification", { user_id, ...(email ? { email } : {}) })).token;
const verify = (token: string) => shop.call("users.verifyEmail", { token });
const query = <Row extends object>(text: string, ...values: unknown[]) =>
	shop.databases.query<Row & Record<string, unknown>>("users", text, values);
const isVerified = async (id: string) => (await shop.call("users.resolve", { ids: [id] }))[0]!.is_verified;

const denied = expect.objectContaining({ type: "INVALID_CREDENTIALS", code: 401, message: "Invalid email or password" });
const invalid = { type: "INVALID_TOKEN", code: 422 };

test("the right password shows who it is, however the address is written", async () => {
	const zoe = await register();
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({ ...zoe, token_version: 1 });
	expect(await shop.call("users.authenticate", { email: ` ${zoe.email.toUpperCase()} `, password })).toEqual({ ...zoe, token_version: 1 });
});

test("a wrong password, an unknown address and a deactivated user are told apart by nothing", async () => {
	const [zoe, gone] = [await register(), await register()];
	await shop.call("users.remove", { id: gone.id }, { meta: { user: admin } });
	const attempts = [
		{ email: zoe.email, password: `${password}!` },
		{ email: "nobody@example.com", password },
		{ email: gone.email, password },
	];
	for (const attempt of attempts) await expect(shop.call("users.authenticate", attempt)).rejects.toEqual(denied);
});

test("a password that goes on where bcrypt stops reading is wrong", async () => {
	const longest = "a".repeat(72);
	const zoe = await register({ password: longest });
	expect(await shop.call("users.authenticate", { email: zoe.email, password: longest })).toEqual({ ...zoe, token_version: 1 });
	await expect(shop.call("users.authenticate", { email: zoe.email, password: `${longest}b` })).rejects.toEqual(denied);
});

test("a hash of another cost is made anew at the next sign-in, and only then", async () => {
	const zoe = await register();
	const hashes = () => query<{ hashed_password: string }>("select hashed_password from users where id = $1", zoe.id);
	const [before] = await hashes();
	await shop.call("users.authenticate", { email: zoe.email, password });
	expect(await hashes()).toEqual([before]);

	// As a process with another BCRYPT_COST would have left it.
	const old = bcrypt.hashSync(password, 5);
	await query("update users set hashed_password = $2 where id = $1", zoe.id, old);
	await expect(shop.call("users.authenticate", { email: zoe.email, password: "wrong horse" })).rejects.toEqual(denied);
	expect(await hashes()).toEqual([{ hashed_password: old }]);
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({ ...zoe, token_version: 1 });
	const [after] = await hashes();
	expect(after!.hashed_password).toMatch(/^\$2b\$04\$/);
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({ ...zoe, token_version: 1 });
});

test("a token verifies the address once, and everybody who wants to know is told", async () => {
	const zoe = await register();
	const token = await issue(zoe.id, zoe.email.toUpperCase());
	await verify(token);
	expect(await isVerified(zoe.id)).toBe(true);
	await expect(verify(token)).rejects.toMatchObject(invalid);
	const facts = await query("select data from outbox where subject = $1 and type = 'user.updated'", zoe.id);
	expect(facts).toEqual([{ data: { user_id: zoe.id, updated_fields: ["is_verified"] } }]);
});

test("a token that is brought twice at once counts once, and a second token finds nothing left to do", async () => {
	const zoe = await register();
	const [first, second] = [await issue(zoe.id), await issue(zoe.id)];
	const outcomes = await Promise.allSettled([verify(first), verify(first)]);
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
	expect(outcomes).toContainEqual({ status: "rejected", reason: expect.objectContaining(invalid) });
	await verify(second);
	expect(await query("select from outbox where subject = $1 and type = 'user.updated'", zoe.id)).toHaveLength(1);
});

test("only a digest of a token is stored", async () => {
	const zoe = await register();
	const token = await issue(zoe.id);
	const [row] = await query<{ token_hash: Buffer }>("select * from verifications where user_id = $1", zoe.id);
	expect(row!.token_hash).toHaveLength(32);
	expect(JSON.stringify(row)).not.toContain(token);
	expect(row!.token_hash.toString("utf8")).not.toContain(token);
});

test("a token does not verify the address that the user has by then", async () => {
	const zoe = await register();
	const meta = { user: { id: zoe.id, email: zoe.email, role: "user" } };
	const old = await issue(zoe.id);
	await verify(await issue(zoe.id));
	const email = `${uuid()}@example.com`;
	expect(await shop.call("users.update", { id: zoe.id, email }, { meta })).toMatchObject({ email, is_verified: false });
	const late = await issue(zoe.id, zoe.email);
	for (const token of [old, late]) await expect(verify(token)).rejects.toMatchObject(invalid);
	expect(await isVerified(zoe.id)).toBe(false);
	await verify(await issue(zoe.id));
	expect(await isVerified(zoe.id)).toBe(true);
});

test("an expired token is refused, and taken away when others are issued", async () => {
	const zoe = await register();
	const token = await issue(zoe.id);
	const [{ hours }] = (await query<{ hours: number }>(
		"update verifications set expires_at = now() where user_id = $1 returning round(extract(epoch from old.expires_at - now()) / 3600)::int as hours",
		zoe.id,
	)) as [{ hours: number }];
	expect(hours).toBe(48);
	await expect(verify(token)).rejects.toMatchObject(invalid);
	await issue((await register()).id);
	expect(await query("select from verifications where user_id = $1", zoe.id)).toEqual([]);
	expect(await isVerified(zoe.id)).toBe(false);
});

test("nonsense verifies nobody, and strangers get no token", async () => {
	await expect(verify("nonsense")).rejects.toMatchObject(invalid);
	await expect(issue(uuid())).rejects.toMatchObject({ type: "USER_NOT_FOUND" });
});
