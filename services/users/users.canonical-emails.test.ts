import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { cleanUp, runScript } from "../../test/support/program.ts";
import { canonicalizeEmails } from "./users.canonical-emails.ts";

let databases: Databases;
let url: string;
beforeAll(async () => {
	databases = await makeDatabases(["users"]);
	url = databaseUrl(databases.pattern, "users");
});
afterAll(async () => {
	await cleanUp();
	await databases?.drop();
});

/** Inserts an account as stored by a version without canonical addresses. */
async function store(email: string): Promise<string> {
	const id = uuid();
	const text =
		"insert into users (id, email, full_name, hashed_password, role) " +
		"values ($1, $2, 'Zoë', 'x', 'user')";
	await databases.query("users", text, [id, email]);
	return id;
}
const emailOf = async (id: string) =>
	(
		await databases.query<{ email: string }>("users", "select email from users where id = $1", [id])
	)[0]!.email;

test("canonicalizes stored addresses and reports collisions without changing them", async () => {
	const unchanged = await store("plain.address+shop@mail-1.example.com");
	const respelled = {
		[await store("zoë@example.com".normalize("NFD"))]: "zoë@example.com",
		[await store("zoe@bücher.example")]: "zoe@xn--bcher-kva.example",
		[await store("<b@example.com>")]: "b@example.com",
		[await store("c@example.com.")]: "c@example.com",
		[await store("d\u200b@example.com")]: "d@example.com",
	};
	const [owner, twin] = [await store("twin@example.com"), await store("twin@example.com>")];
	const none = await store("a@b@example.com");
	const linked = Object.keys(respelled)[1]!;
	await databases.query(
		"users",
		`insert into verifications (token_hash, user_id, email, expires_at)
		values ('\\x01', $1, 'zoe@bücher.example', now() + interval '1 day')`,
		[linked],
	);

	const report = await canonicalizeEmails(url);
	for (const [id, email] of Object.entries(respelled)) expect(await emailOf(id)).toBe(email);
	expect(await emailOf(unchanged)).toBe("plain.address+shop@mail-1.example.com");
	expect(await emailOf(twin)).toBe("twin@example.com>");
	expect(await emailOf(none)).toBe("a@b@example.com");
	expect(report).toEqual({
		changed: 5,
		problems: [
			expect.stringContaining(`users ${owner} and ${twin} have the same address`),
			expect.stringContaining(`user ${none} is invalid`),
		],
	});
	expect(await databases.query("users", "select email from verifications")).toEqual([
		{ email: "zoe@xn--bcher-kva.example" },
	]);
	expect(await canonicalizeEmails(url)).toEqual({ ...report, changed: 0 });

	const late = await store("late@bücher.example");
	const { code, errors } = await runScript("migrate", {
		SERVICES: "users",
		DATABASE_URL: databases.pattern,
	}).ended;
	expect(code).toBe(0);
	expect(errors.split("\n")).toEqual([
		expect.stringContaining(owner),
		expect.stringContaining(none),
	]);
	expect(await emailOf(late)).toBe("late@xn--bcher-kva.example");
	// Personal data stays in the database.
	expect(errors).not.toContain("@");
});

test("canonicalizes more accounts than fit on one page", async () => {
	await databases.query(
		"users",
		`insert into users (id, email, full_name, hashed_password, role)
		select gen_random_uuid(), 'x' || n || '@bücher.example', 'X', 'x', 'user'
		from generate_series(1, 2100) n`,
	);
	expect((await canonicalizeEmails(url)).changed).toBe(2100);
});
