import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import pg from "pg";
import { databaseUrl } from "../../../lib/persistence/database.ts";
import { accessTokenVerifier } from "../../../lib/security/access-token.ts";
import { REVOCATIONS_PAGE_SIZE } from "../../../lib/security/revocations.ts";
import { type Env, readEnv } from "../../../lib/settings/env.ts";
import { createNode, loadService } from "../../../lib/settings/node.ts";
import { brokerOptions } from "../../../moleculer.config.ts";
import { type Customer, makeAdmin, register } from "../../../test/support/builders.ts";
import { type Databases, makeDatabases, services } from "../../../test/support/databases.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { httpOf } from "../../../test/support/http.ts";
import { testSettings } from "../../../test/support/settings.ts";
import type { Shop } from "../../../test/support/shop.ts";

const namespace = `revocation-${process.pid}`;
const brokers: ServiceBroker[] = [];
let databases: Databases;
let env: Env;
/** Two gateways; with the first one live users and auth. */
let gateways: Shop["http"][];
let admin: Customer;

async function start(...names: string[]): Promise<Shop["http"]> {
	const schemas = await Promise.all(names.map((name) => loadService(services, name)));
	const broker = createNode({ ...brokerOptions(env), transporter: "Fake" }, env, schemas);
	brokers.push(broker);
	await broker.start();
	const { server } = broker.getLocalService("api") as unknown as {
		server: { address(): { port: number } };
	};
	return httpOf(`http://127.0.0.1:${server.address().port}`);
}

beforeAll(async () => {
	databases = await makeDatabases(["users", "auth"]);
	env = readEnv({
		...testSettings,
		NAMESPACE: namespace,
		LOGLEVEL: process.env.LOGLEVEL ?? "fatal",
		PORT: "0",
		DATABASE_URL: databases.pattern,
		RATE_LIMIT_ENABLED: "false",
	});
	gateways = [await start("users", "auth", "api"), await start("api")];
	admin = await makeAdmin({
		http: gateways[0]!,
		call: brokers[0]!.call.bind(brokers[0]) as unknown as Shop["call"],
	});
	await brokers[1]!.waitForServices(["users", "auth"]);
	await eventually(async () => expect(await statuses(admin.token)).toEqual([200, 200]));
});
afterAll(async () => {
	for (const broker of brokers.reverse()) await broker.stop();
	await databases?.drop();
});

const statuses = (token: string) =>
	Promise.all(gateways.map(async (http) => (await http("GET /api/users/me", { token })).status));
const refusedEverywhere = (token: string) =>
	eventually(async () => expect(await statuses(token)).toEqual([401, 401]));

test("rejects tokens that were revoked before the gateway started", async () => {
	const customer = await register({ http: gateways[0]! });
	await gateways[0]!(`DELETE /api/users/${customer.id}`, { token: admin.token });
	await refusedEverywhere(customer.token);
	const third = await start("api");
	await eventually(async () =>
		expect((await third("GET /api/users/me", { token: admin.token })).status).toBe(200),
	);
	expect((await third("GET /api/users/me", { token: customer.token })).status).toBe(401);
});

test("a gateway accepts tokens from its start, also when the list has several pages", async () => {
	await databases.query(
		"auth",
		`insert into revocations (session_id, at)
			select gen_random_uuid(), now() from generate_series(0, $1::int)`,
		[2 * REVOCATIONS_PAGE_SIZE],
	);
	const http = await start("api");
	expect((await http("GET /api/users/me", { token: admin.token })).status).toBe(200);
});

test("finds a revocation by polling when hints are lost", async () => {
	const deaf = await start("api");
	await eventually(async () =>
		expect((await deaf("GET /api/users/me", { token: admin.token })).status).toBe(200),
	);
	const service = brokers.at(-1)!.getLocalService("api") as unknown as {
		revocations: { wake(): void };
	};
	service.revocations.wake = () => undefined;
	const customer = await register({ http: gateways[0]! });
	expect((await deaf("GET /api/users/me", { token: customer.token })).status).toBe(200);
	await gateways[0]!(`DELETE /api/users/${customer.id}`, { token: admin.token });
	await eventually(async () =>
		expect((await deaf("GET /api/users/me", { token: customer.token })).status).toBe(401),
	);
});

test("finds a revocation that commits late or with an earlier timestamp", async () => {
	const customer = await register({ http: gateways[0]! });
	expect(await statuses(customer.token)).toEqual([200, 200]);
	const { session } = accessTokenVerifier(env.JWT_SECRET!)(customer.token);
	// Longer ago than gateways look back.
	await databases.query(
		"auth",
		"insert into revocations (session_id, at) values ($1, now() - interval '5 minutes')",
		[session],
	);
	await refusedEverywhere(customer.token);
});

test("rejects a token that was refreshed before the password change arrived", async () => {
	const customer = await register({ http: gateways[0]! });
	const credentials = { email: customer.email, password: customer.password };
	const attacker = (await gateways[0]!("POST /api/users/login", { body: credentials })).body;
	const db = new pg.Client({ connectionString: databaseUrl(databases.pattern, "auth") });
	await db.connect();
	try {
		// Every end of a user's sessions takes this lock first, so the event waits.
		await db.query("select pg_advisory_lock(hashtextextended($1::text, 0))", [customer.id]);
		const body = { current_password: customer.password, new_password: "battery staple" };
		const changed = await gateways[0]!(`POST /api/users/${customer.id}/password`, {
			token: customer.token,
			body,
		});
		expect(changed.status).toBe(204);
		const refreshed = await gateways[0]!("POST /api/auth/refresh", {
			body: { refresh_token: attacker.refresh_token },
		});
		expect(refreshed.status).toBe(200);
		await db.query("select pg_advisory_unlock_all()");
		await refusedEverywhere(refreshed.body.access_token);
		const again = await gateways[0]!("POST /api/auth/refresh", {
			body: { refresh_token: refreshed.body.refresh_token },
		});
		expect(again.status).toBe(401);
		expect(await statuses(customer.token)).toEqual([200, 200]);
	} finally {
		await db.end();
	}
});

test("responds with 503 to tokens until the revocations have been loaded once", async () => {
	await brokers[0]!.destroyService("auth");
	const fresh = await start("api");
	const { status, headers } = await fresh("GET /api/users/me", { token: admin.token });
	expect([status, headers.get("retry-after")]).toEqual([503, "5"]);
	// Gateways that have loaded the list continue with it.
	expect(await statuses(admin.token)).toEqual([200, 200]);
	brokers[0]!.createService(await loadService(services, "auth"));
	await eventually(async () =>
		expect((await fresh("GET /api/users/me", { token: admin.token })).status).toBe(200),
	);
});
