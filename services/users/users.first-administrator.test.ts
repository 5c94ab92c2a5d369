import { afterEach, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode, loadService } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { type Databases, services as folder, makeDatabases } from "../../test/support/databases.ts";
import { testSettings } from "../../test/support/settings.ts";
import "./users.contract.ts";

const PASSWORD = "correct horse";
const owner = { ADMIN_EMAIL: "owner@example.com", ADMIN_PASSWORD: PASSWORD };

let databases: Databases;
const nodes: ServiceBroker[] = [];
afterEach(async () => {
	await Promise.all(nodes.splice(0).map((node) => node.stop()));
	await databases?.drop();
});

/** Starts a node that runs the users service on the databases of this test. */
async function start(settings: Record<string, string>): Promise<ServiceBroker> {
	const env = readEnv({
		...testSettings,
		LOGLEVEL: "fatal",
		DATABASE_URL: databases.pattern,
		...settings,
	});
	const node = createNode(brokerOptions(env), env, [await loadService(folder, "users")]);
	nodes.push(node);
	await node.start();
	return node;
}
const admins = async () =>
	(
		await databases.query<{ email: string }>(
			"users",
			"select email from users where role = 'admin' order by email",
		)
	).map(({ email }) => email);

test("the service starts with its first administrator, who can sign in", async () => {
	databases = await makeDatabases(["users"]);
	const node = await start({ ...owner, ADMIN_EMAIL: "Owner@Example.com" });
	const email = owner.ADMIN_EMAIL;
	expect(await node.call("users.authenticate", { email, password: PASSWORD })).toMatchObject({
		email,
		role: "admin",
		is_verified: true,
	});
});

test("a later start with another ADMIN_EMAIL creates no administrator", async () => {
	databases = await makeDatabases(["users"]);
	await start(owner);
	const node = await start({ ...owner, ADMIN_EMAIL: "second@example.com" });
	expect(await admins()).toEqual([owner.ADMIN_EMAIL]);
	await expect(
		node.call("users.authenticate", { email: "second@example.com", password: PASSWORD }),
	).rejects.toMatchObject({
		type: "INVALID_CREDENTIALS",
	});
});

test("nodes that start concurrently create one administrator", async () => {
	databases = await makeDatabases(["users"]);
	await Promise.all(
		[1, 2, 3, 4].map((n) => start({ ...owner, ADMIN_EMAIL: `admin${n}@example.com` })),
	);
	expect(await admins()).toHaveLength(1);
});

test("a customer with the address of ADMIN_EMAIL does not become an administrator", async () => {
	databases = await makeDatabases(["users"]);
	const open = await start({});
	await open.call("users.create", {
		email: owner.ADMIN_EMAIL,
		password: "their own one",
		full_name: "Mallory",
	});
	await start(owner);
	expect(await admins()).toEqual([]);
});
