import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./users.contract.ts";

let shop: Shop;
let administrator: User;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
	administrator = await shop.call("users.seed", { ...account(), role: "admin", is_verified: true });
});
afterAll(() => shop?.stop());

const password = "correct horse";
const newEmail = () => `${uuid()}@example.com`;
const account = () => ({ email: newEmail(), password, full_name: "Zoë" });
const register = () => shop.call("users.create", account());
type User = Awaited<ReturnType<typeof register>>;
const query = <Row extends object>(text: string, ...values: unknown[]) =>
	shop.databases.query<Row & Record<string, unknown>>("users", text, values);
const emailOf = async ({ id }: User) => (await shop.call("users.resolve", { ids: [id] }))[0]!.email;
const signIn = (email: string, given = password) =>
	shop.call("users.authenticate", { email, password: given });

const change = (
	by: User,
	email: string,
	{ id, current_password }: { id?: string; current_password?: string } = {
		current_password: password,
	},
) =>
	shop.call(
		"users.update",
		{ id: id ?? by.id, email, ...(current_password === undefined ? {} : { current_password }) },
		{ meta: { user: by } },
	);
const asAdministrator = ({ id }: User, email: string) =>
	change(administrator, email, { id, current_password: password });
const events = (id: string) =>
	query<{ type: string; data: { change_id: number } }>(
		"select type, data from outbox where subject = $1 and type <> 'user.created' order by xid, seq",
		id,
	);
const latestChange = async ({ id }: User) =>
	(await events(id)).findLast(({ data }) => data.change_id)!.data.change_id;
/** Issues the token mailed to the new address of a user's latest change. */
const issueConfirmToken = async (zoe: User) =>
	shop.call("users.issueEmailChange", { user_id: zoe.id, change_id: await latestChange(zoe) });
const issueUndoToken = async (zoe: User) =>
	shop.call("users.issueEmailChangeUndo", { user_id: zoe.id, change_id: await latestChange(zoe) });
const confirm = (token: string | null) => shop.call("users.confirmEmailChange", { token: token! });
const undo = (token: string, new_password = "battery staple") =>
	shop.call("users.undoEmailChange", { token, new_password });

const invalid = { type: "INVALID_TOKEN", code: 422 };

test("a new address is pending until its link is opened, which ends all sessions", async () => {
	const zoe = await register();
	const email = newEmail();
	expect(await change(zoe, email.toUpperCase())).toEqual(zoe);
	expect(await emailOf(zoe)).toBe(zoe.email);
	const change_id = await latestChange(zoe);
	expect(await events(zoe.id)).toEqual([
		{ type: "user.email_change_recorded", data: { user_id: zoe.id, change_id } },
		{ type: "user.email_change_requested", data: { user_id: zoe.id, change_id } },
	]);

	const issued = await issueConfirmToken(zoe);
	expect(issued.email).toBe(email);
	await confirm(issued.token);
	await expect(confirm(issued.token)).rejects.toMatchObject(invalid);
	expect((await events(zoe.id)).slice(2)).toEqual([
		{
			type: "user.updated",
			data: { user_id: zoe.id, updated_fields: ["email", "is_verified"], is_verified: true },
		},
		{ type: "user.email_verified", data: { user_id: zoe.id, email } },
		{ type: "user.access_changed", data: { user_id: zoe.id, token_version: 2, sessions: "ended" } },
	]);
	expect(await signIn(email)).toMatchObject({ id: zoe.id, is_verified: true });
	await expect(signIn(zoe.email)).rejects.toMatchObject({ type: "INVALID_CREDENTIALS" });
});

test("a new address requires the caller's current password, also of administrators", async () => {
	const zoe = await register();
	for (const [by, id] of [
		[zoe, zoe.id],
		[administrator, zoe.id],
		[administrator, administrator.id],
	] as const) {
		const missing = {
			type: "VALIDATION_ERROR",
			data: { errors: [expect.objectContaining({ field: "current_password" })] },
		};
		await expect(change(by, newEmail(), { id })).rejects.toMatchObject(missing);
		await expect(
			change(by, newEmail(), { id, current_password: "wrong horse" }),
		).rejects.toMatchObject({ type: "WRONG_PASSWORD" });
	}
	expect(await events(zoe.id)).toEqual([]);
	// The current address is not a change.
	expect(
		await shop.call("users.update", { id: zoe.id, email: zoe.email }, { meta: { user: zoe } }),
	).toEqual(zoe);
});

test("an incorrect current password counts as a failed sign-in", async () => {
	const zoe = await register();
	const guess = { id: zoe.id, email: newEmail(), current_password: "wrong horse" };
	const meta = { user: zoe, address: "203.0.113.70" };
	for (let i = 0; i < 3; i++)
		await expect(shop.call("users.update", guess, { meta })).rejects.toMatchObject({
			type: "WRONG_PASSWORD",
		});
	const attempts = await query(
		"select failures from sign_in_attempts where address = $1",
		meta.address,
	);
	expect(attempts).toEqual([{ failures: 3 }]);
});

test("the response is the same for an address that has an account", async () => {
	const [zoe, other] = [await register(), await register()];
	expect(await change(zoe, other.email)).toEqual(zoe);
	expect(await issueConfirmToken(zoe)).toEqual({ email: other.email, token: null });
	// Registered after the e-mail was sent.
	const email = newEmail();
	await change(zoe, email);
	const { token } = await issueConfirmToken(zoe);
	await shop.call("users.create", { ...account(), email });
	await expect(confirm(token)).rejects.toMatchObject({ type: "EMAIL_TAKEN", code: 409 });
	expect(await emailOf(zoe)).toBe(zoe.email);
});

test("a newer request, a new password or deactivation revokes a change", async () => {
	const revoking: Record<string, (zoe: User) => Promise<unknown>> = {
		"a newer link": issueConfirmToken,
		"a newer request": (zoe) => change(zoe, newEmail()),
		"the current address": (zoe) => change(zoe, zoe.email, {}),
		"a new password": (zoe) =>
			shop.call(
				"users.changePassword",
				{ id: zoe.id, current_password: password, new_password: "battery staple" },
				{ meta: { user: zoe } },
			),
		"another address by an administrator": (zoe) => asAdministrator(zoe, newEmail()),
		"a deactivation": ({ id }) =>
			shop.call("users.remove", { id }, { meta: { user: administrator } }),
	};
	for (const [name, revoke] of Object.entries(revoking)) {
		const zoe = await register();
		await change(zoe, newEmail());
		const { token } = await issueConfirmToken(zoe);
		await revoke(zoe);
		const [outcome] = await Promise.allSettled([confirm(token)]);
		expect([name, (outcome as PromiseRejectedResult).reason?.type]).toEqual([
			name,
			"INVALID_TOKEN",
		]);
	}
});

test("a change can be confirmed for 48 hours and undone for seven days", async () => {
	const zoe = await register();
	await change(zoe, newEmail());
	const [{ token }, { token: undoToken }] = [
		await issueConfirmToken(zoe),
		await issueUndoToken(zoe),
	];
	await query(
		"update email_changes set created_at = created_at - interval '49 hours' where user_id = $1",
		zoe.id,
	);
	await expect(confirm(token)).rejects.toMatchObject(invalid);
	await expect(issueConfirmToken(zoe)).rejects.toMatchObject({ type: "EMAIL_CHANGE_NOT_FOUND" });
	await query(
		"update email_changes set created_at = created_at - interval '6 days' where user_id = $1",
		zoe.id,
	);
	await expect(undo(undoToken)).rejects.toMatchObject(invalid);
	await expect(issueUndoToken(zoe)).rejects.toMatchObject({ type: "EMAIL_CHANGE_NOT_FOUND" });
});

test("the former address undoes a change after further changes by an attacker", async () => {
	const zoe = await register();
	const [first, second] = [newEmail(), newEmail()];
	await change(zoe, first);
	const { email, token: undoToken } = await issueUndoToken(zoe);
	expect(email).toBe(zoe.email);
	await confirm((await issueConfirmToken(zoe)).token);
	await shop.call(
		"users.changePassword",
		{ id: zoe.id, current_password: password, new_password: "thief's password" },
		{ meta: { user: zoe } },
	);
	await change(zoe, second, { current_password: "thief's password" });
	const { token: thiefsUndoToken } = await issueUndoToken(zoe);
	await confirm((await issueConfirmToken(zoe)).token);
	const { token: reset } = await shop.call("users.issuePasswordReset", { user_id: zoe.id });

	await undo(undoToken);
	expect(await signIn(zoe.email, "battery staple")).toMatchObject({
		id: zoe.id,
		is_verified: true,
	});
	for (const email of [first, second])
		await expect(signIn(email, "thief's password")).rejects.toMatchObject({
			type: "INVALID_CREDENTIALS",
		});
	expect((await events(zoe.id)).at(-1)).toMatchObject({
		type: "user.access_changed",
		data: { sessions: "ended" },
	});
	// Links mailed to the attacker are invalid.
	await expect(undo(thiefsUndoToken)).rejects.toMatchObject(invalid);
	await expect(undo(undoToken)).rejects.toMatchObject(invalid);
	await expect(
		shop.call("users.resetPassword", { token: reset, new_password: "third password" }),
	).rejects.toMatchObject(invalid);
});

test("undoing a later change keeps the link that undoes an earlier one", async () => {
	const zoe = await register();
	await change(zoe, newEmail());
	const { token: undoToken } = await issueUndoToken(zoe);
	const { email, token } = await issueConfirmToken(zoe);
	await confirm(token);
	await change(zoe, newEmail());
	const { token: laterUndoToken } = await issueUndoToken(zoe);
	await undo(laterUndoToken, "thief's password");
	expect(await emailOf(zoe)).toBe(email);
	await undo(undoToken);
	expect(await emailOf(zoe)).toBe(zoe.email);
});

test("undoing a pending change cancels it and ends all sessions", async () => {
	const zoe = await register();
	await change(zoe, newEmail());
	const [{ token }, { token: undoToken }] = [
		await issueConfirmToken(zoe),
		await issueUndoToken(zoe),
	];
	await undo(undoToken);
	await expect(confirm(token)).rejects.toMatchObject(invalid);
	expect((await events(zoe.id)).at(-1)).toMatchObject({
		type: "user.access_changed",
		data: { sessions: "ended" },
	});
	expect(await signIn(zoe.email, "battery staple")).toMatchObject({
		id: zoe.id,
		is_verified: true,
	});
});

test("a change by an administrator takes effect at once and can be undone", async () => {
	const zoe = await register();
	const email = newEmail();
	expect(await asAdministrator(zoe, email)).toMatchObject({ email, is_verified: false });
	const change_id = await latestChange(zoe);
	expect(await events(zoe.id)).toEqual([
		{ type: "user.email_change_recorded", data: { user_id: zoe.id, change_id } },
		{ type: "user.updated", data: { user_id: zoe.id, updated_fields: ["email"] } },
		{ type: "user.access_changed", data: { user_id: zoe.id, token_version: 2, sessions: "ended" } },
	]);
	await expect(issueConfirmToken(zoe)).rejects.toMatchObject({ type: "EMAIL_CHANGE_NOT_FOUND" });
	await undo((await issueUndoToken(zoe)).token);
	expect(await emailOf(zoe)).toBe(zoe.email);
	expect((await events(zoe.id)).slice(3)).toMatchObject([
		{ type: "user.updated" },
		{ type: "user.email_verified", data: { user_id: zoe.id, email: zoe.email } },
		{ type: "user.access_changed" },
	]);
});

test("a former address stays reserved for its owner", async () => {
	const [zoe, other] = [await register(), await register()];
	await asAdministrator(zoe, newEmail());
	await expect(shop.call("users.create", { ...account(), email: zoe.email })).rejects.toMatchObject(
		{ type: "EMAIL_TAKEN" },
	);
	await expect(asAdministrator(other, zoe.email)).rejects.toMatchObject({ type: "EMAIL_TAKEN" });
	await change(other, zoe.email);
	expect(await issueConfirmToken(other)).toEqual({ email: zoe.email, token: null });
	expect(await asAdministrator(zoe, zoe.email)).toMatchObject({ email: zoe.email });
});

test("a user can request five changes per hour, also concurrently", async () => {
	const zoe = await register();
	const outcomes = await Promise.allSettled(
		Array.from({ length: 8 }, () => change(zoe, newEmail())),
	);
	const rejected = outcomes.filter(({ status }) => status === "rejected");
	expect(rejected).toHaveLength(3);
	for (const { reason } of rejected as PromiseRejectedResult[])
		expect(reason).toMatchObject({ type: "RATE_LIMITED", code: 429 });
	expect(
		(await events(zoe.id)).filter(({ type }) => type === "user.email_change_requested"),
	).toHaveLength(5);
	expect(
		await query("select from email_changes where user_id = $1 and pending", zoe.id),
	).toHaveLength(1);
	await asAdministrator(zoe, newEmail());
});

test("stores only digests of the tokens", async () => {
	const zoe = await register();
	await change(zoe, newEmail());
	const tokens = [(await issueConfirmToken(zoe)).token!, (await issueUndoToken(zoe)).token];
	const [row] = await query<{ confirm_hash: Buffer; undo_hash: Buffer }>(
		"select * from email_changes where user_id = $1",
		zoe.id,
	);
	for (const hash of [row!.confirm_hash, row!.undo_hash]) expect(hash).toHaveLength(32);
	for (const token of tokens) expect(JSON.stringify(row)).not.toContain(token);
});
