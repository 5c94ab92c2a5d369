import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { v7 as uuid } from "uuid";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { accessTokenVerifier } from "../../lib/security/access-token.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { userRecord } from "../../test/support/records.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./auth.contract.ts";

/** Token version of all users. */
let version = 1;
/** Delays sign-ins between the verification of the password and the opening of the session. */
let signInDelay: Promise<void> | undefined;
const userOf = (id: string) => ({
	id,
	email: `${id}@example.com`,
	role: "user" as const,
	is_active: true,
	token_version: version,
});

let shop: Shop;
let publish: ReturnType<typeof publisher>;
beforeAll(async () => {
	const usersStub = stub(
		users,
		{
			identify: async ({ params: { ids } }) => ids.map(userOf),
			async authenticate({ params: { email } }) {
				const found = userOf(email.split("@")[0]!);
				await signInDelay;
				return { ...userRecord(found), token_version: version };
			},
		},
		database,
		durableEvents,
	);
	shop = await startShop({ services: ["auth"], stubs: [usersStub] });
	publish = publisher(shop.broker, "users");
});
afterAll(() => shop?.stop());

const claims = ({ access_token }: { access_token: string }) =>
	accessTokenVerifier(shop.env.JWT_SECRET!)(access_token);
const login = async (id: string) => {
	const tokens = await shop.call("auth.login", {
		email: `${id}@example.com`,
		password: "correct horse",
	});
	return { ...tokens, ...claims(tokens) };
};
const refresh = ({ refresh_token }: { refresh_token: string }) =>
	shop.call("auth.refresh", { refresh_token });
const revocations = async (id: string, ...sessions: string[]) =>
	(await shop.call("auth.revocations", {})).revocations.filter(
		({ user_id, session_id }) => user_id === id || sessions.includes(session_id ?? ""),
	);
const change = (
	user_id: string,
	data: { token_version: number; sessions: "kept" | "ended"; except?: string },
) => publish("user.access_changed", user_id, { user_id, ...data });
const unauthenticated = { type: "UNAUTHENTICATED" };

test("a changed password revokes older tokens and ends all sessions except its own", async () => {
	const id = uuid();
	const [here, elsewhere] = [await login(id), await login(id)];
	await change(id, { token_version: 2, sessions: "ended", except: here.session });
	const expected = {
		user_id: id,
		below: 2,
		except: here.session,
		session_id: null,
		at: expect.any(String),
	};
	await eventually(async () => expect(await revocations(id)).toEqual([expected]));
	await expect(refresh(elsewhere)).rejects.toMatchObject(unauthenticated);
	await refresh(here);
});

test("a changed role revokes older tokens and keeps the sessions", async () => {
	const id = uuid();
	const session = await login(id);
	version = 2;
	const early = await refresh(session);
	await change(id, { token_version: 2, sessions: "kept" });
	await eventually(async () =>
		expect(await revocations(id)).toMatchObject([{ user_id: id, below: 2, except: null }]),
	);
	// A token from before the event is revoked too, because it may be from before the change.
	expect(claims(early).version).toBe(1);
	const late = await refresh(early);
	expect(claims(late).version).toBe(2);
	// The session keeps the version after the revocation is deleted.
	await shop.databases.query("auth", "delete from revocations where user_id = $1", [id]);
	expect(claims(await refresh(late)).version).toBe(2);
	version = 1;
});

test("a password change revokes a token that is refreshed before its event", async () => {
	const id = uuid();
	const [victim, attacker] = [await login(id), await login(id)];
	version = 2;
	const early = [await refresh(victim), await refresh(attacker)] as const;
	version = 1;
	await change(id, { token_version: 2, sessions: "ended", except: victim.session });
	await eventually(async () => expect(await revocations(id)).toHaveLength(1));
	const isVoid = async (token: { access_token: string }) => {
		const { session, version } = claims(token);
		const found = await revocations(id, session);
		return found.some(
			({ session_id, below, except }) =>
				session_id === session || (version < (below ?? 0) && session !== except),
		);
	};
	expect(await Promise.all(early.map(isVoid))).toEqual([false, true]);
	await expect(refresh(early[1])).rejects.toMatchObject(unauthenticated);
	await refresh(early[0]);
	// Ended sessions are also revoked by ID, because older nodes may write any version into tokens.
	expect((await revocations(id, attacker.session)).map(({ session_id }) => session_id)).toContain(
		attacker.session,
	);
});

test("a delayed event ends no session that was opened after the change", async () => {
	const id = uuid();
	const old = await login(id);
	version = 2;
	const young = await login(id);
	version = 1;
	await change(id, { token_version: 2, sessions: "ended" });
	await eventually(async () => expect(await revocations(id)).toHaveLength(1));
	await expect(refresh(old)).rejects.toMatchObject(unauthenticated);
	await refresh(young);
});

test("a sign-in with the old password fails if the password changes in the meantime", async () => {
	const id = uuid();
	const { promise, resolve } = Promise.withResolvers<void>();
	signInDelay = promise;
	const late = login(id);
	await change(id, { token_version: 2, sessions: "ended" });
	await eventually(async () => expect(await revocations(id)).toHaveLength(1));
	signInDelay = undefined;
	resolve();
	await expect(late).rejects.toMatchObject({ type: "INVALID_CREDENTIALS" });
});

test("signing out or reusing a refresh token revokes the session's access tokens", async () => {
	const id = uuid();
	const [first, second, third] = [await login(id), await login(id), await login(id)];
	await shop.call("auth.logout", { refresh_token: first.refresh_token });
	await refresh(second);
	await expect(refresh(second)).rejects.toMatchObject(unauthenticated);
	const ended = await revocations(id, first.session, second.session, third.session);
	expect(ended.map(({ session_id }) => session_id)).toEqual([first.session, second.session]);
});

test("signing out everywhere ends all sessions of that user only", async () => {
	const [id, other] = [uuid(), uuid()];
	const logins = [await login(id), await login(id)];
	const otherLogin = await login(other);
	await shop.call("auth.logoutEverywhere", {}, { meta: { user: { id, email: "", role: "user" } } });
	const ended = await revocations(id, ...logins.map(({ session }) => session), otherLogin.session);
	expect(new Set(ended.map(({ session_id }) => session_id))).toEqual(
		new Set(logins.map(({ session }) => session)),
	);
	for (const session of logins)
		await expect(refresh(session)).rejects.toMatchObject(unauthenticated);
	await refresh(otherLogin);
});

test("lists only recent revocations, optionally since a time", async () => {
	const query = (text: string) => shop.databases.query("auth", text);
	await query(
		`insert into revocations (session_id, at)
		values (gen_random_uuid(), now() - interval '17 minutes')`,
	);
	await query(
		`insert into revocations (session_id, at)
		values (gen_random_uuid(), now() - interval '14 minutes')`,
	);
	const { revocations: all, now } = await shop.call("auth.revocations", {});
	const ages = all.map(({ at }) => Math.round((Date.parse(now) - Date.parse(at)) / 60_000));
	expect(Math.max(...ages)).toBe(14);
	const since = new Date(Date.parse(now) - 60_000).toISOString();
	const recent = all.filter(({ at }) => Date.parse(at) >= Date.parse(since));
	expect(recent.length).toBeLessThan(all.length);
	const listed = (await shop.call("auth.revocations", { since })).revocations;
	expect(listed).toHaveLength(recent.length);
	expect(listed).toEqual(expect.arrayContaining(recent));
});

/** Reads from a cursor to the end of the list. */
async function readFrom(cursor?: string) {
	const ids: (string | null)[] = [];
	let pages = 0;
	for (let next = cursor; ; ) {
		const page = await shop.call("auth.revocations", next === undefined ? {} : { cursor: next });
		ids.push(...page.revocations.map(({ session_id }) => session_id));
		next = page.cursor!;
		pages++;
		if (!page.more) return { ids, pages, cursor: next };
	}
}
const insert = (
	db: { query(text: string, values: unknown[]): Promise<unknown> },
	id: string,
	age = "0 seconds",
) =>
	db.query(
		"insert into revocations (session_id, at) values ($1, clock_timestamp() - $2::interval)",
		[id, age],
	);

test("a cursor finds a revocation that commits after a later one was read", async () => {
	const [late, early] = [uuid(), uuid()];
	const { cursor } = await readFrom();
	const client = new pg.Client({ connectionString: databaseUrl(shop.databases.pattern, "auth") });
	await client.connect();
	try {
		await client.query("begin");
		await insert(client, late, "1 minute");
		await insert({ query: (text, values) => shop.databases.query("auth", text, values) }, early);
		const first = await readFrom(cursor);
		expect(first.ids).toEqual([early]);
		await client.query("commit");
		const second = await readFrom(first.cursor);
		expect(second.ids).toEqual([late]);
		expect((await readFrom(second.cursor)).ids).toEqual([]);
	} finally {
		await client.end();
	}
});

test("a cursor finds a revocation that was written while the clock was set back", async () => {
	const id = uuid();
	const { cursor } = await readFrom();
	await insert(
		{ query: (text, values) => shop.databases.query("auth", text, values) },
		id,
		"1 hour",
	);
	expect((await readFrom(cursor)).ids).toEqual([id]);
});

test("a long list is read in pages of one snapshot, each revocation once", async () => {
	const { cursor } = await readFrom();
	const many =
		"insert into revocations (session_id) " +
		"select gen_random_uuid() from generate_series(1, 4500) returning session_id";
	const written = (await shop.databases.query<{ session_id: string }>("auth", many)).map(
		({ session_id }) => session_id,
	);
	const { ids, pages } = await readFrom(cursor);
	expect([pages, ids]).toEqual([3, written]);
	const all = new Set((await readFrom()).ids);
	expect(written.filter((id) => !all.has(id))).toEqual([]);
	const first = await shop.call("auth.revocations", { cursor });
	await insert({ query: (text, values) => shop.databases.query("auth", text, values) }, uuid());
	expect((await readFrom(first.cursor)).ids).toHaveLength(2500);
	await shop.databases.query("auth", "delete from revocations where session_id = any($1)", [
		written,
	]);
});

test("a cursor from before the database was restored reads the whole list", async () => {
	const { ids } = await readFrom();
	expect(ids.length).toBeGreaterThan(0);
	expect((await readFrom("9000000000000:9000000000000://0")).ids).toEqual(ids);
});

test("lists revocations from before the upgrade", async () => {
	const id = uuid();
	await shop.databases.query(
		"auth",
		"insert into revocations (session_id, xid) values ($1, null)",
		[id],
	);
	expect((await readFrom()).ids).toContain(id);
});
