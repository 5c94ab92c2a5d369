import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { accessTokenVerifier } from "../../lib/security/access-token.ts";
import { loadService } from "../../lib/settings/node.ts";
import { services } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./auth.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["auth", "users"] });
});
afterAll(() => shop?.stop());

const password = "correct horse";
const register = () =>
	shop.call("users.create", { email: `${uuid()}@example.com`, password, full_name: "Zoë" });
const login = ({ email }: { email: string }) => shop.call("auth.login", { email, password });
const refresh = (refresh_token: string) => shop.call("auth.refresh", { refresh_token });
const logout = (refresh_token: string) => shop.call("auth.logout", { refresh_token });
const claims = ({ access_token }: { access_token: string }) =>
	accessTokenVerifier(shop.env.JWT_SECRET!)(access_token);
const query = (text: string, ...values: unknown[]) =>
	shop.databases.query<Record<string, unknown>>("auth", text, values);

const unauthenticated = { type: "UNAUTHENTICATED", code: 401 };
const refused = { status: "rejected", reason: expect.objectContaining(unauthenticated) };

test("signing in returns an access token with the user's claims for 15 minutes", async () => {
	const zoe = await register();
	const tokens = await login(zoe);
	expect(tokens).toMatchObject({ token_type: "bearer", expires_in: 900 });
	expect(tokens.refresh_token).toMatch(/^[\w-]{43}$/);
	const [session] = await query("select id from sessions where user_id = $1", zoe.id);
	expect(claims(tokens)).toMatchObject({
		sub: zoe.id,
		email: zoe.email,
		role: "user",
		session: session!.id,
	});
});

test("an incorrect password opens no session", async () => {
	const zoe = await register();
	await expect(
		shop.call("auth.login", { email: zoe.email, password: "wrong horse" }),
	).rejects.toMatchObject({
		type: "INVALID_CREDENTIALS",
		code: 401,
	});
	expect(await query("select from sessions where user_id = $1", zoe.id)).toEqual([]);
});

test("a refresh token is exchanged for new tokens with current claims", async () => {
	const zoe = await register();
	const first = await login(zoe);
	await shop.call("users.update", { id: zoe.id, role: "admin" }, { meta: { user: admin } });
	const second = await refresh(first.refresh_token);
	expect(claims(second)).toMatchObject({
		sub: zoe.id,
		role: "admin",
		session: claims(first).session,
	});
	expect(second.refresh_token).not.toBe(first.refresh_token);
	await refresh(second.refresh_token);
});

test("reuse of a refresh token ends its session and no other", async () => {
	const zoe = await register();
	const [first, other] = [await login(zoe), await login(zoe)];
	const second = await refresh(first.refresh_token);
	await expect(refresh(first.refresh_token)).rejects.toMatchObject(unauthenticated);
	await expect(refresh(second.refresh_token)).rejects.toMatchObject(unauthenticated);
	await refresh(other.refresh_token);
});

test("one of several concurrent exchanges succeeds, and the session ends", async () => {
	const first = await login(await register());
	const outcomes = await Promise.allSettled(
		Array.from({ length: 5 }, () => refresh(first.refresh_token)),
	);
	const exchanged = outcomes.flatMap((outcome) =>
		outcome.status === "fulfilled" ? [outcome.value] : [],
	);
	expect(exchanged).toHaveLength(1);
	expect(outcomes.filter(({ status }) => status === "rejected")).toEqual(Array(4).fill(refused));
	await expect(refresh(exchanged[0]!.refresh_token)).rejects.toMatchObject(unauthenticated);
});

test.each([
	["a used token is presented again", (used: string) => refresh(used)],
	["its user signs out", (used: string) => logout(used)],
])("no token outlives its session when %s during an exchange", async (_case, end) => {
	const zoe = await register();
	for (let i = 0; i < 10; i++) {
		const first = await login(zoe);
		const second = await refresh(first.refresh_token);
		const [third] = await Promise.allSettled([
			refresh(second.refresh_token),
			end(first.refresh_token),
		]);
		const last = third.status === "fulfilled" ? third.value : second;
		await expect(refresh(last.refresh_token)).rejects.toMatchObject(unauthenticated);
	}
});

test("signing out ends one session and ignores an unknown token", async () => {
	const zoe = await register();
	const [first, other] = [await login(zoe), await login(zoe)];
	await logout(first.refresh_token);
	await logout(first.refresh_token);
	await logout("nonsense");
	await expect(refresh(first.refresh_token)).rejects.toMatchObject(unauthenticated);
	await refresh(other.refresh_token);
});

test("a deactivated user cannot refresh and has to sign in again after reactivation", async () => {
	const zoe = await register();
	const { refresh_token } = await login(zoe);
	const change = (is_active: boolean) =>
		shop.call("users.update", { id: zoe.id, is_active }, { meta: { user: admin } });
	await change(false);
	await expect(refresh(refresh_token)).rejects.toMatchObject(unauthenticated);
	await expect(login(zoe)).rejects.toMatchObject({ type: "INVALID_CREDENTIALS" });
	await change(true);
	await expect(refresh(refresh_token)).rejects.toMatchObject(unauthenticated);
	await refresh((await login(zoe)).refresh_token);
});

test("a session lives for 30 days after its last refresh", async () => {
	const zoe = await register();
	const left = () =>
		query(
			`select round(extract(epoch from expires_at - now()) / 86400)::int as days
			from sessions where user_id = $1`,
			zoe.id,
		);
	const first = await login(zoe);
	expect(await left()).toEqual([{ days: 30 }]);
	await query(
		"update sessions set expires_at = now() + interval '1 minute' where user_id = $1",
		zoe.id,
	);
	const second = await refresh(first.refresh_token);
	expect(await left()).toEqual([{ days: 30 }]);
	await query("update sessions set expires_at = now() where user_id = $1", zoe.id);
	await expect(refresh(second.refresh_token)).rejects.toMatchObject(unauthenticated);
});

test("rejects an unknown refresh token and stores only digests", async () => {
	await expect(refresh("nonsense")).rejects.toMatchObject(unauthenticated);
	await expect(refresh("")).rejects.toMatchObject({ code: 422 });
	const { refresh_token } = await login(await register());
	const stored = await query(
		"select encode(token_hash, 'escape') as text, length(token_hash) from refresh_tokens",
	);
	expect(stored.filter(({ text }) => String(text).includes(refresh_token))).toEqual([]);
	expect(new Set(stored.map(({ length }) => length))).toEqual(new Set([32]));
});

test("deletes expired sessions and tokens and keeps valid ones", async () => {
	const [expired, active] = [await register(), await register()];
	const old = await login(expired);
	const first = await login(active);
	const second = await refresh(first.refresh_token);
	await query(
		"update sessions set expires_at = now() - interval '1 second' where user_id = $1",
		expired.id,
	);
	await query(
		`insert into sessions (id, user_id, expires_at)
		select gen_random_uuid(), $1, now() from generate_series(1, 1200)`,
		expired.id,
	);
	await query(
		`update refresh_tokens set created_at = now() - interval '31 days'
		where used_at is not null and session_id = $1`,
		claims(first).session,
	);

	// The service prunes when it starts and then every minute.
	await shop.broker.destroyService(shop.broker.getLocalService("auth"));
	shop.broker.createService(await loadService(services, "auth"));
	await shop.broker.waitForServices("auth");
	await eventually(async () =>
		expect(await query("select from sessions where user_id = $1", expired.id)).toEqual([]),
	);
	expect(
		await query("select from refresh_tokens where session_id = $1", claims(first).session),
	).toHaveLength(1);
	await expect(refresh(old.refresh_token)).rejects.toMatchObject(unauthenticated);
	await expect(refresh(first.refresh_token)).rejects.toMatchObject(unauthenticated);
	await refresh(second.refresh_token);
});

test("a refresh token stays unused when the users service fails", async () => {
	const now = new Date().toISOString();
	const zoe = {
		id: uuid(),
		email: "zoe@example.com",
		full_name: "Zoë",
		role: "user" as const,
		is_active: true,
		is_verified: false,
		created_at: now,
		updated_at: now,
		token_version: 1,
	};
	let down = false;
	const usersStub = stub(users, {
		authenticate: async () => zoe,
		identify: async () => {
			if (down) throw new Error("users is unavailable");
			const { id, email, role, is_active, token_version } = zoe;
			return [{ id, email, role, is_active, token_version }];
		},
	});
	const alone = await startShop({ services: ["auth"], stubs: [usersStub] });
	try {
		const { refresh_token } = await alone.call("auth.login", { email: zoe.email, password });
		down = true;
		await expect(alone.call("auth.refresh", { refresh_token })).rejects.toThrow(
			"users is unavailable",
		);
		down = false;
		expect(await alone.call("auth.refresh", { refresh_token })).toMatchObject({
			token_type: "bearer",
		});
	} finally {
		await alone.stop();
	}
});
