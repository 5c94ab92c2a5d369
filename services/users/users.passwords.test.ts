import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./users.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
});
afterAll(() => shop?.stop());

const password = "correct horse";
const register = () =>
	shop.call("users.create", { email: `${uuid()}@example.com`, password, full_name: "Zoë" });
type User = Awaited<ReturnType<typeof register>>;
const query = <Row extends object>(text: string, ...values: unknown[]) =>
	shop.databases.query<Row & Record<string, unknown>>("users", text, values);
const signIn = (email: string, password: string, address?: string) =>
	shop.call("users.authenticate", { email, password }, address ? { meta: { address } } : {});
const change = (user: User, current_password: string, new_password: string, session = uuid()) =>
	shop.call(
		"users.changePassword",
		{ id: user.id, current_password, new_password },
		{ meta: { user: { ...user, session }, address: "203.0.113.1" } },
	);
const eventsOf = (id: string, type: string) =>
	query<{ data: object }>("select data from outbox where subject = $1 and type = $2", id, type);
const issue = (user_id: string, email?: string) =>
	shop.call("users.issuePasswordReset", { user_id, ...(email ? { email } : {}) });
const reset = (token: string, new_password: string) =>
	shop.call("users.resetPassword", { token, new_password });

const denied = expect.objectContaining({ type: "INVALID_CREDENTIALS" });
const invalid = { type: "INVALID_TOKEN", code: 422 };

test("the current password sets a new one, and ends all other sessions", async () => {
	const zoe = await register();
	const session = uuid();
	await change(zoe, password, "battery staple", session);
	await expect(signIn(zoe.email, password)).rejects.toEqual(denied);
	expect(await signIn(zoe.email, "battery staple")).toMatchObject({ id: zoe.id, token_version: 2 });
	expect(await eventsOf(zoe.id, "user.access_changed")).toEqual([
		{ data: { user_id: zoe.id, token_version: 2, sessions: "ended", except: session } },
	]);
});

test("rejects an incorrect or invalid password and another user's account", async () => {
	const [zoe, other] = [await register(), await register()];
	await expect(change(zoe, "wrong horse", "battery staple")).rejects.toMatchObject({
		type: "WRONG_PASSWORD",
		code: 403,
	});
	await expect(change(zoe, password, "ä".repeat(37))).rejects.toMatchObject({ code: 422 });
	await expect(change(zoe, password, "short")).rejects.toMatchObject({ code: 422 });
	const request = { id: other.id, current_password: password, new_password: "battery staple" };
	for (const user of [zoe, admin!]) {
		await expect(
			shop.call("users.changePassword", request, { meta: { user } }),
		).rejects.toMatchObject({ type: "FORBIDDEN" });
	}
	for (const { email } of [zoe, other]) await signIn(email, password);
});

test("one of two concurrent changes succeeds", async () => {
	const zoe = await register();
	const outcomes = await Promise.allSettled([
		change(zoe, password, "battery staple 1"),
		change(zoe, password, "battery staple 2"),
	]);
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
	expect(await eventsOf(zoe.id, "user.access_changed")).toHaveLength(1);
});

test("a reset request gives one response for every address, and users an event", async () => {
	const [zoe, inactive] = [await register(), await register()];
	await shop.call("users.remove", { id: inactive.id }, { meta: { user: admin } });
	const unknown = `${uuid()}@example.com`;
	const request = (email: string) => shop.call("users.requestPasswordReset", { email });
	const [first, ...others] = await Promise.all(
		[zoe.email, inactive.email, unknown, zoe.email.toUpperCase()].map(request),
	);
	for (const other of others) expect(other).toEqual(first);
	await eventually(async () =>
		expect(await query("select from password_reset_requests where handled_at is null")).toEqual([]),
	);
	expect(await eventsOf(zoe.id, "user.password_reset_requested")).toEqual([
		{ data: { user_id: zoe.id } },
	]);
	expect(await eventsOf(inactive.id, "user.password_reset_requested")).toEqual([]);

	// A second request within a minute has the same response and publishes no event.
	expect(await request(zoe.email)).toEqual(first);
	await query(
		`update password_reset_requests set handled_at = handled_at - interval '2 minutes'
		where email = $1`,
		zoe.email,
	);
	await request(zoe.email);
	await eventually(async () =>
		expect(await eventsOf(zoe.id, "user.password_reset_requested")).toHaveLength(2),
	);
});

test("a token sets a new password once, verifies the address and ends all sessions", async () => {
	const zoe = await register();
	const [{ token: another }, { token }] = [await issue(zoe.id, zoe.email), await issue(zoe.id)];
	await reset(token, "battery staple");
	expect(await signIn(zoe.email, "battery staple")).toMatchObject({
		id: zoe.id,
		is_verified: true,
	});
	expect(await eventsOf(zoe.id, "user.updated")).toEqual([
		{ data: { user_id: zoe.id, updated_fields: ["is_verified"] } },
	]);
	expect(await eventsOf(zoe.id, "user.email_verified")).toEqual([
		{ data: { user_id: zoe.id, email: zoe.email } },
	]);
	expect(await eventsOf(zoe.id, "user.access_changed")).toEqual([
		{ data: { user_id: zoe.id, token_version: 2, sessions: "ended" } },
	]);
	for (const used of [token, another, "nonsense"])
		await expect(reset(used, "third password")).rejects.toMatchObject(invalid);
	await signIn(zoe.email, "battery staple");
});

test("one of two concurrent uses of a token sets a password", async () => {
	const zoe = await register();
	const { token } = await issue(zoe.id);
	const outcomes = await Promise.allSettled([
		reset(token, "battery staple 1"),
		reset(token, "battery staple 2"),
	]);
	expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("rejects a token that expired or is for another address or purpose", async () => {
	const [late, moved, inactive, other] = [
		await register(),
		await register(),
		await register(),
		await register(),
	];
	const tokens = await Promise.all([late, moved, inactive].map(({ id }) => issue(id)));
	await query(
		"update verifications set expires_at = expires_at - interval '61 minutes' where user_id = $1",
		late.id,
	);
	await query("update users set email = $2 where id = $1", moved.id, `${uuid()}@example.com`);
	await shop.call("users.remove", { id: inactive.id }, { meta: { user: admin } });
	const verification = await shop.call("users.issueVerification", { user_id: other.id });
	for (const { token } of [...tokens, verification])
		await expect(reset(token, "battery staple")).rejects.toMatchObject(invalid);
	await shop.call("users.verifyEmail", verification);
	const { token } = await issue(other.id);
	await expect(shop.call("users.verifyEmail", { token })).rejects.toMatchObject(invalid);
	await expect(issue(inactive.id)).rejects.toMatchObject({ type: "USER_NOT_FOUND" });
});

test("a change of password, address or account status revokes all links", async () => {
	const administrator = await shop.call("users.seed", {
		email: `${uuid()}@example.com`,
		password,
		full_name: "Chief",
		role: "admin",
		is_verified: true,
	});
	const asAdministrator = { meta: { user: administrator } };
	const changes: Record<string, (zoe: User) => Promise<unknown>> = {
		"a change of password": (zoe) => change(zoe, password, "battery staple"),
		"a reset of the password": async (zoe) => reset((await issue(zoe.id)).token, "battery staple"),
		"a change of address": ({ id }) =>
			shop.call(
				"users.update",
				{ id, email: `${uuid()}@example.com`, current_password: password },
				asAdministrator,
			),
		"a deactivation and reactivation": async ({ id }) => {
			for (const is_active of [false, true])
				await shop.call("users.update", { id, is_active }, asAdministrator);
		},
	};
	for (const [name, apply] of Object.entries(changes)) {
		const zoe = await register();
		const { token: verification } = await shop.call("users.issueVerification", { user_id: zoe.id });
		const { token } = await issue(zoe.id);
		await apply(zoe);
		const outcomes = await Promise.allSettled([
			reset(token, "third password"),
			shop.call("users.verifyEmail", { token: verification }),
		]);
		const types = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason?.type);
		expect([name, ...types]).toEqual([name, "INVALID_TOKEN", "INVALID_TOKEN"]);
	}
});

/** The next failure delays further attempts by 32 seconds; after the tenth, it is one second. */
const set14Failures = (address: string) =>
	query("update sign_in_attempts set failures = 14 where address = $1", address);

test("after many failures, only that account and client address have to wait", async () => {
	const [zoe, other] = [await register(), await register()];
	const [address, otherAddress] = ["203.0.113.66", "203.0.113.67"];
	await expect(signIn(zoe.email, "wrong horse", address)).rejects.toEqual(denied);
	await set14Failures(address);
	const attempts = await Promise.allSettled(
		Array.from({ length: 30 }, () => signIn(zoe.email, "wrong horse", address)),
	);
	const types = attempts.map((attempt) => (attempt as PromiseRejectedResult).reason.type);
	expect(types.filter((type) => type === "INVALID_CREDENTIALS")).toHaveLength(1);
	expect(types.filter((type) => type === "RATE_LIMITED")).toHaveLength(29);
	const refused = await signIn(zoe.email, password, address).catch((error) => error);
	expect(refused).toMatchObject({ type: "RATE_LIMITED" });
	expect(refused.data.retry_after).toBeGreaterThanOrEqual(1);
	expect(refused.data.retry_after).toBeLessThanOrEqual(32);
	await signIn(zoe.email, password, otherAddress);
	await signIn(other.email, password, address);
});

test("each failure doubles the delay, up to a minute, until an idle hour", async () => {
	// An address without an account is limited in the same way.
	const email = `${uuid()}@example.com`;
	const address = "203.0.113.68";
	const endDelay = () =>
		query("update sign_in_attempts set next_at = now() where address = $1", address);
	const delays: unknown[] = [];
	for (let i = 0; i < 18; i++) {
		await expect(signIn(email, password, address)).rejects.toEqual(denied);
		const [row] = await query(
			`select round(extract(epoch from next_at - at))::int as delay
			from sign_in_attempts where address = $1`,
			address,
		);
		delays.push(row!.delay);
		await endDelay();
	}
	expect(delays).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
	// A program with an outdated password fails for years.
	await query("update sign_in_attempts set failures = 2000000 where address = $1", address);
	await expect(signIn(email, password, address)).rejects.toEqual(denied);
	await endDelay();
	const zoe = await shop.call("users.create", { email, password, full_name: "Zoë" });
	expect(await signIn(email, password, address)).toMatchObject({ id: zoe.id });
	expect(await query("select from sign_in_attempts where address = $1", address)).toEqual([]);
	await expect(signIn(email, "wrong horse", address)).rejects.toEqual(denied);
	await query(
		`update sign_in_attempts set failures = 50, at = now() - interval '61 minutes'
			where address = $1`,
		address,
	);
	await expect(signIn(email, "wrong horse", address)).rejects.toEqual(denied);
	expect(await query("select failures from sign_in_attempts where address = $1", address)).toEqual([
		{ failures: 1 },
	]);
});

test("failures of the current password delay further attempts", async () => {
	const zoe = await register();
	for (let i = 0; i < 2; i++) {
		await expect(change(zoe, "wrong horse", "battery staple")).rejects.toMatchObject({
			type: "WRONG_PASSWORD",
		});
		if (i === 0) await set14Failures("203.0.113.1");
	}
	await expect(change(zoe, password, "battery staple")).rejects.toMatchObject({
		type: "RATE_LIMITED",
	});
});
