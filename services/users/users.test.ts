import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { CallingOptions } from "moleculer";
import { v7 as uuid } from "uuid";
import { type Shop, startShop, admin as unknownUser } from "../../test/support/shop.ts";
import "./users.contract.ts";
import type { User } from "./users.rules.ts";

let shop: Shop;
let administrator: User;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
	const account = {
		email: "admin@example.com",
		password: "correct horse",
		full_name: "Administrator",
		role: "admin",
		is_verified: true,
	} as const;
	administrator = await shop.call("users.seed", account);
});
afterAll(() => shop?.stop());

const as = ({ id, email, role }: Pick<User, "id" | "email" | "role">): CallingOptions => ({
	meta: { user: { id, email, role } },
});
const registration = () => ({
	email: `${uuid()}@example.com`,
	password: "correct horse",
	full_name: "Zoë",
});
const register = () => shop.call("users.create", registration());
const makeAdmin = async () => {
	const { id } = await register();
	return shop.call("users.update", { id, role: "admin" }, as(administrator));
};
const failing = (type: string) => expect.objectContaining({ type });
/** Events of a user in order. */
const eventsOf = (id: string) =>
	shop.databases.query<{ type: string; data: unknown }>(
		"users",
		"select type, data from outbox where subject = $1 order by xid, seq",
		[id],
	);

test("registers an active, unverified user and publishes an event", async () => {
	const { email, password, full_name } = registration();
	const zoe = await shop.call("users.create", {
		email: ` ${email.toUpperCase()}`,
		password,
		full_name: " Zoë ",
	});
	expect(zoe).toMatchObject({
		email,
		full_name,
		role: "user",
		is_active: true,
		is_verified: false,
	});
	expect(await eventsOf(zoe.id)).toEqual([
		{ type: "user.created", data: { user_id: zoe.id, email, full_name } },
	]);
	expect(await shop.call("users.get", { id: zoe.id }, as(zoe))).toEqual(zoe);
});

test("one of two concurrent registrations of an address succeeds", async () => {
	const account = registration();
	const outcomes = await Promise.allSettled(
		[account, { ...account, email: account.email.toUpperCase() }].map((r) =>
			shop.call("users.create", r),
		),
	);
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
	expect(outcomes).toContainEqual({ status: "rejected", reason: failing("EMAIL_TAKEN") });
	await expect(shop.call("users.create", account)).rejects.toMatchObject({
		type: "EMAIL_TAKEN",
		code: 409,
	});
	const rows = await shop.databases.query(
		"users",
		"select id from outbox where data ->> 'email' = $1",
		[account.email],
	);
	expect(rows).toHaveLength(1);
});

test.each([
	["a password of too few characters", { password: "1234567" }],
	["a password of too many bytes", { password: "🐎".repeat(19) }],
	["an invalid address", { email: "zoe" }],
	["an address in brackets", { email: "<zoe@example.com>" }],
	["an address with a zero-width character", { email: "zo\u200be@example.com" }],
	["a web address as name", { full_name: "http://phish.example click here" }],
	["an address that Postgres cannot hold", { email: "zoe\0@example.com" }],
	["an empty name", { full_name: "  " }],
	["a name that Postgres cannot hold", { full_name: "Zo\0ë" }],
	["a role", { role: "admin" }],
])("rejects a registration with %s", async (_case, part) => {
	await expect(
		shop.call("users.create", { ...registration(), ...part } as never),
	).rejects.toMatchObject({ code: 422 });
});

test("results contain no password hash, and the hash is bcrypt's", async () => {
	const { id } = await register();
	const [row] = await shop.databases.query<{ hashed_password: string }>(
		"users",
		"select hashed_password from users where id = $1",
		[id],
	);
	expect(row!.hashed_password).toMatch(/^\$2b\$04\$/);
	const results = [
		await shop.call("users.list", {}, as(administrator)),
		await shop.call("users.get", { id }, as(administrator)),
		await shop.call("users.me", {}, as({ id, email: "", role: "user" })),
		await shop.call("users.resolve", { ids: [id] }),
		await shop.call("users.update", { id, full_name: "Zoe" }, as(administrator)),
	];
	expect(JSON.stringify(results)).not.toMatch(/hash|\$2b/);
});

test("administrators page through all users", async () => {
	await register();
	const all = await shop.call("users.list", {}, as(administrator));
	expect(all.total).toBe(all.rows.length);
	expect(await shop.call("users.list", { skip: 1, limit: 1 }, as(administrator))).toEqual({
		rows: [all.rows[1]],
		total: all.total,
	});
});

test("users read only themselves, administrators read everyone", async () => {
	const [zoe, other] = [await register(), await register()];
	expect(await shop.call("users.me", {}, as(zoe))).toEqual(zoe);
	await expect(shop.call("users.get", { id: other.id }, as(zoe))).rejects.toMatchObject({
		type: "FORBIDDEN",
		code: 403,
	});
	await expect(shop.call("users.list", {}, as(zoe))).rejects.toMatchObject({ type: "FORBIDDEN" });
	expect(await shop.call("users.get", { id: other.id.toUpperCase() }, as(administrator))).toEqual(
		other,
	);
	await expect(shop.call("users.get", { id: uuid() }, as(administrator))).rejects.toMatchObject({
		type: "USER_NOT_FOUND",
		code: 404,
	});
	await expect(shop.call("users.me", {}, as(unknownUser!))).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});
});

test("an update writes the given fields and publishes those that changed, if any", async () => {
	const zoe = await register();
	const changes = { id: zoe.id, full_name: "Zoe", email: zoe.email };
	const after = await shop.call("users.update", changes, as(zoe));
	expect(after).toEqual({ ...zoe, full_name: "Zoe", updated_at: after.updated_at });
	expect(Date.parse(after.updated_at)).toBeGreaterThan(Date.parse(zoe.updated_at));
	expect(await shop.call("users.update", changes, as(zoe))).toEqual(after);
	expect((await eventsOf(zoe.id)).slice(1)).toEqual([
		{ type: "user.updated", data: { user_id: zoe.id, updated_fields: ["full_name"] } },
	]);
});

test("a forbidden, invalid or empty update changes nothing", async () => {
	const [zoe, other] = [await register(), await register()];
	const attempt = (changes: object, id = zoe.id) =>
		shop.call("users.update", { id, ...changes }, as(zoe));
	await expect(attempt({ role: "admin" })).rejects.toMatchObject({ type: "FORBIDDEN" });
	await expect(attempt({ is_active: true, full_name: "Zoe" })).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	await expect(attempt({ full_name: "Zoe" }, other.id)).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	await expect(attempt({})).rejects.toMatchObject({ code: 422 });
	await expect(attempt({ full_name: null })).rejects.toMatchObject({ code: 422 });
	await expect(attempt({ hashed_password: "x" })).rejects.toMatchObject({ code: 422 });
	const taken = { id: zoe.id, email: other.email.toUpperCase(), current_password: "correct horse" };
	await expect(shop.call("users.update", taken, as(administrator))).rejects.toMatchObject({
		type: "EMAIL_TAKEN",
		code: 409,
	});
	await expect(
		shop.call("users.update", { id: uuid(), role: "user" }, as(administrator)),
	).rejects.toMatchObject({ type: "USER_NOT_FOUND" });
	expect(await shop.call("users.resolve", { ids: [zoe.id, other.id] })).toEqual([zoe, other]);
	expect(await eventsOf(zoe.id)).toHaveLength(1);
});

test("concurrent updates of different fields are all kept", async () => {
	const zoe = await register();
	const email = `${uuid()}@example.com`;
	const updates = [
		{ full_name: "Zoe" },
		{ email, current_password: "correct horse" },
		{ role: "admin" as const },
		{ is_active: false },
	];
	await Promise.all(
		updates.map((one) => shop.call("users.update", { id: zoe.id, ...one }, as(administrator))),
	);
	expect(await shop.call("users.get", { id: zoe.id }, as(administrator))).toMatchObject({
		full_name: "Zoe",
		email,
		role: "admin",
		is_active: false,
	});
	const published = (await eventsOf(zoe.id)).filter(({ type }) => type === "user.updated");
	expect(published).toHaveLength(updates.length);
});

/** Changes the address of a user as an administrator. */
const changeEmail = ({ id }: User, email: string) =>
	shop.call("users.update", { id, email, current_password: "correct horse" }, as(administrator));

test("one of two concurrent users gets an address", async () => {
	const pair = [await register(), await register()];
	const email = `${uuid()}@example.com`;
	const outcomes = await Promise.allSettled(pair.map((one) => changeEmail(one, email)));
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
	expect(outcomes).toContainEqual({ status: "rejected", reason: failing("EMAIL_TAKEN") });
});

test("rejects two concurrent changes to each other's address as taken", async () => {
	for (let i = 0; i < 10; i++) {
		const [a, b] = [await register(), await register()];
		for (const outcome of await Promise.allSettled([
			changeEmail(a, b.email),
			changeEmail(b, a.email),
		]))
			expect(outcome).toEqual({ status: "rejected", reason: failing("EMAIL_TAKEN") });
	}
});

test("a removed user stays but is not active", async () => {
	const zoe = await register();
	await shop.call("users.remove", { id: zoe.id }, as(administrator));
	await shop.call("users.remove", { id: zoe.id }, as(administrator));
	expect(await shop.call("users.get", { id: zoe.id }, as(administrator))).toMatchObject({
		...zoe,
		is_active: false,
		updated_at: expect.anything(),
	});
	expect((await eventsOf(zoe.id)).slice(1)).toEqual([
		{ type: "user.updated", data: { user_id: zoe.id, updated_fields: ["is_active"] } },
		{ type: "user.access_changed", data: { user_id: zoe.id, token_version: 2, sessions: "ended" } },
	]);
	await expect(shop.call("users.me", {}, as(zoe))).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});
	await expect(shop.call("users.remove", { id: zoe.id }, as(zoe))).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	await expect(shop.call("users.remove", { id: uuid() }, as(administrator))).rejects.toMatchObject({
		type: "USER_NOT_FOUND",
	});
});

test("the last active administrator cannot be removed or lose the role", async () => {
	const inactive = await makeAdmin();
	await shop.call("users.remove", { id: inactive.id }, as(administrator));
	await expect(
		shop.call("users.remove", { id: administrator.id }, as(administrator)),
	).rejects.toMatchObject({
		type: "LAST_ADMIN",
		code: 409,
	});
	await expect(
		shop.call("users.update", { id: administrator.id, role: "user" }, as(administrator)),
	).rejects.toMatchObject({ type: "LAST_ADMIN" });
	expect(await shop.call("users.me", {}, as(administrator))).toMatchObject({
		role: "admin",
		is_active: true,
	});
});

test("one of two administrators who remove each other concurrently succeeds", async () => {
	for (let i = 0; i < 5; i++) {
		const other = await makeAdmin();
		const each = [
			shop.call("users.remove", { id: administrator.id }, as(other)),
			shop.call("users.update", { id: other.id, role: "user" }, as(administrator)),
		];
		const outcomes = await Promise.allSettled(each);
		expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
		expect(outcomes).toContainEqual({ status: "rejected", reason: failing("LAST_ADMIN") });
		if (outcomes[0]!.status === "fulfilled") administrator = other;
	}
});

test("resolves users in the order of the IDs, and null for an unknown ID", async () => {
	const [a, b] = [await register(), await register()];
	expect(
		await shop.call("users.resolve", { ids: [b.id, uuid(), a.id.toUpperCase(), b.id] }),
	).toEqual([b, null, a, b]);
	expect(await shop.call("users.resolve", { ids: [] })).toEqual([]);
});

test("seeding registers a user once and then returns the existing one", async () => {
	const account = { ...registration(), role: "admin", is_verified: true } as const;
	const [first, again] = await Promise.all([
		shop.call("users.seed", account),
		shop.call("users.seed", account),
	]);
	expect(first).toMatchObject({ email: account.email, role: "admin", is_verified: true });
	expect(again).toEqual(first);
	expect(
		await shop.call("users.seed", { ...account, password: "another horse", role: "user" }),
	).toEqual(first);
	expect((await eventsOf(first.id)).map(({ type }) => type)).toEqual(["user.created"]);
	await expect(
		shop.call("users.seed", { ...account, email: "long@example.com", password: "é".repeat(37) }),
	).rejects.toMatchObject({
		code: 422,
	});
	await shop.call("users.remove", { id: first.id }, as(administrator));
});
