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
	shop.call("users.create", {
		email: `${uuid()}@example.com`,
		password,
		full_name: "Zoë",
		...more,
	});
const issue = async (user_id: string, email?: string) =>
	(await shop.call("users.issueVerification", { user_id, ...(email ? { email } : {}) })).token;
const verify = (token: string) => shop.call("users.verifyEmail", { token });
const query = <Row extends object>(text: string, ...values: unknown[]) =>
	shop.databases.query<Row & Record<string, unknown>>("users", text, values);
const isVerified = async (id: string) =>
	(await shop.call("users.resolve", { ids: [id] }))[0]!.is_verified;

const denied = expect.objectContaining({
	type: "INVALID_CREDENTIALS",
	code: 401,
	message: "Invalid email or password",
});
const invalid = { type: "INVALID_TOKEN", code: 422 };

test("authenticates by password and any spelling of the address", async () => {
	const zoe = await register();
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({
		...zoe,
		token_version: 1,
	});
	expect(
		await shop.call("users.authenticate", { email: ` ${zoe.email.toUpperCase()} `, password }),
	).toEqual({ ...zoe, token_version: 1 });
});

test("an incorrect password and an unknown or inactive user give the same error", async () => {
	const [zoe, inactive] = [await register(), await register()];
	await shop.call("users.remove", { id: inactive.id }, { meta: { user: admin } });
	const attempts = [
		{ email: zoe.email, password: `${password}!` },
		{ email: "unknown@example.com", password },
		{ email: inactive.email, password },
	];
	for (const attempt of attempts)
		await expect(shop.call("users.authenticate", attempt)).rejects.toEqual(denied);
});

test("rejects a password that differs only after the bytes that bcrypt reads", async () => {
	const longest = "a".repeat(72);
	const zoe = await register({ password: longest });
	expect(await shop.call("users.authenticate", { email: zoe.email, password: longest })).toEqual({
		...zoe,
		token_version: 1,
	});
	await expect(
		shop.call("users.authenticate", { email: zoe.email, password: `${longest}b` }),
	).rejects.toEqual(denied);
});

test("a successful sign-in, and nothing else, replaces a hash of another cost", async () => {
	const zoe = await register();
	const hashes = () =>
		query<{ hashed_password: string }>("select hashed_password from users where id = $1", zoe.id);
	const [before] = await hashes();
	await shop.call("users.authenticate", { email: zoe.email, password });
	expect(await hashes()).toEqual([before]);

	// The hash of a process with another BCRYPT_COST.
	const old = bcrypt.hashSync(password, 5);
	await query("update users set hashed_password = $2 where id = $1", zoe.id, old);
	await expect(
		shop.call("users.authenticate", { email: zoe.email, password: "wrong horse" }),
	).rejects.toEqual(denied);
	expect(await hashes()).toEqual([{ hashed_password: old }]);
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({
		...zoe,
		token_version: 1,
	});
	const [after] = await hashes();
	expect(after!.hashed_password).toMatch(/^\$2b\$04\$/);
	expect(await shop.call("users.authenticate", { email: zoe.email, password })).toEqual({
		...zoe,
		token_version: 1,
	});
});

test("a token verifies the address once and publishes an event", async () => {
	const zoe = await register();
	const token = await issue(zoe.id, zoe.email.toUpperCase());
	await verify(token);
	expect(await isVerified(zoe.id)).toBe(true);
	await expect(verify(token)).rejects.toMatchObject(invalid);
	const events = await query(
		"select type, data from outbox where subject = $1 and type <> 'user.created' order by xid, seq",
		zoe.id,
	);
	expect(events).toEqual([
		{ type: "user.updated", data: { user_id: zoe.id, updated_fields: ["is_verified"] } },
		{ type: "user.email_verified", data: { user_id: zoe.id, email: zoe.email } },
	]);
});

test("one of two concurrent uses of a token succeeds", async () => {
	const zoe = await register();
	const token = await issue(zoe.id);
	const outcomes = await Promise.allSettled([verify(token), verify(token)]);
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
	expect(outcomes).toContainEqual({ status: "rejected", reason: expect.objectContaining(invalid) });
	expect(
		await query("select from outbox where subject = $1 and type = 'user.updated'", zoe.id),
	).toHaveLength(1);
});

test("only the latest token of a purpose is valid, also after concurrent requests", async () => {
	const zoe = await register();
	const reset = (token: string) =>
		shop.call("users.resetPassword", { token, new_password: "battery staple" });
	const old = await issue(zoe.id);
	const several = await Promise.all(Array.from({ length: 5 }, () => issue(zoe.id)));
	const other = await shop.call("users.issuePasswordReset", { user_id: zoe.id });
	const newest = await shop.call("users.issuePasswordReset", { user_id: zoe.id });
	await expect(verify(old)).rejects.toMatchObject(invalid);
	const outcomes = await Promise.allSettled(several.map(verify));
	expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
	await expect(reset(other.token)).rejects.toMatchObject(invalid);
	await reset(newest.token);
});

test("accepts every Unicode form of a password, also against an older hash", async () => {
	const composed = "crème brûlée".normalize("NFC");
	const [nfc, nfd] = [composed, composed.normalize("NFD")];
	for (const chosen of [nfc, nfd]) {
		const zoe = await register({ password: chosen });
		for (const typed of [nfc, nfd])
			expect(
				await shop.call("users.authenticate", { email: zoe.email, password: typed }),
			).toMatchObject({ id: zoe.id });
		await query(
			"update users set hashed_password = $2 where id = $1",
			zoe.id,
			bcrypt.hashSync(chosen, 4),
		);
		for (const typed of [nfc, nfd])
			expect(
				await shop.call("users.authenticate", { email: zoe.email, password: typed }),
			).toMatchObject({ id: zoe.id });
		await expect(
			shop.call("users.authenticate", { email: zoe.email, password: "creme brulee" }),
		).rejects.toEqual(denied);
	}
});

test("spellings of one mailbox are one account and share its failed sign-ins", async () => {
	const name = uuid();
	const account = { password, full_name: "Zoë" };
	const zoe = await shop.call("users.create", { ...account, email: `${name}é@Bücher.example` });
	expect(zoe.email).toBe(`${name}é@xn--bcher-kva.example`);
	const spellings = [
		zoe.email,
		`${name}é@Bücher.example`.normalize("NFD"),
		` ${name.toUpperCase()}É@xn--bcher-kva.example`,
	];
	for (const email of spellings) {
		await expect(shop.call("users.create", { ...account, email })).rejects.toMatchObject({
			type: "EMAIL_TAKEN",
		});
		expect(await shop.call("users.authenticate", { email, password })).toMatchObject({
			id: zoe.id,
		});
	}
	const meta = { address: "203.0.113.99" };
	for (const email of spellings)
		await expect(
			shop.call("users.authenticate", { email, password: "wrong horse" }, { meta }),
		).rejects.toEqual(denied);
	expect(
		await query("select failures from sign_in_attempts where address = $1", meta.address),
	).toEqual([{ failures: 3 }]);
});

test("an account with a non-canonical stored address signs in with that address", async () => {
	const [zoe, other] = [await register(), await register()];
	const stored = other.email.replace("@example.com", "@bücher.example");
	await query(
		"update users set email = $2 where id = $1",
		zoe.id,
		other.email.replace("example.com", "xn--bcher-kva.example"),
	);
	await query("update users set email = $2 where id = $1", other.id, stored);
	const signIn = (email: string) => shop.call("users.authenticate", { email, password });
	expect(await signIn(stored)).toMatchObject({ id: other.id });
	expect(await signIn(other.email.replace("example.com", "xn--bcher-kva.example"))).toMatchObject({
		id: zoe.id,
	});
});

test("stores only the digest of a token", async () => {
	const zoe = await register();
	const token = await issue(zoe.id);
	const [row] = await query<{ token_hash: Buffer }>(
		"select * from verifications where user_id = $1",
		zoe.id,
	);
	expect(row!.token_hash).toHaveLength(32);
	expect(JSON.stringify(row)).not.toContain(token);
	expect(row!.token_hash.toString("utf8")).not.toContain(token);
});

test("a token does not verify an address that the user got later", async () => {
	const zoe = await register();
	const administrator = await shop.call("users.seed", {
		email: `${uuid()}@example.com`,
		password,
		full_name: "Chief",
		role: "admin",
		is_verified: true,
	});
	const old = await issue(zoe.id);
	const email = `${uuid()}@example.com`;
	const updated = await shop.call(
		"users.update",
		{ id: zoe.id, email, current_password: password },
		{ meta: { user: administrator } },
	);
	expect(updated).toMatchObject({ email, is_verified: false });
	const late = await issue(zoe.id, zoe.email);
	for (const token of [old, late]) await expect(verify(token)).rejects.toMatchObject(invalid);
	expect(await isVerified(zoe.id)).toBe(false);
	await verify(await issue(zoe.id));
	expect(await isVerified(zoe.id)).toBe(true);
});

test("rejects an expired token and deletes it when another is issued", async () => {
	const zoe = await register();
	const token = await issue(zoe.id);
	const [{ hours }] = (await query<{ hours: number }>(
		`update verifications set expires_at = now() where user_id = $1
		returning round(extract(epoch from old.expires_at - now()) / 3600)::int as hours`,
		zoe.id,
	)) as [{ hours: number }];
	expect(hours).toBe(48);
	await expect(verify(token)).rejects.toMatchObject(invalid);
	await issue((await register()).id);
	expect(await query("select from verifications where user_id = $1", zoe.id)).toEqual([]);
	expect(await isVerified(zoe.id)).toBe(false);
});

test("rejects unknown tokens and issues none to unknown users", async () => {
	await expect(verify("nonsense")).rejects.toMatchObject(invalid);
	await expect(issue(uuid())).rejects.toMatchObject({ type: "USER_NOT_FOUND" });
});
