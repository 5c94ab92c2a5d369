import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { type Env, readEnv } from "../../lib/env.ts";
import { loadService, makeNode } from "../../lib/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { type Customer, login, makeAdmin, register } from "../support/actors.ts";
import { type Databases, makeDatabases, services } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { httpOf } from "../support/http.ts";
import type { Shop } from "../support/shop.ts";

/** Long enough for one look, and half of what is promised. */
const SECONDS = 2;

const namespace = `revocation-${process.pid}`;
const brokers: ServiceBroker[] = [];
let databases: Databases;
let env: Env;
/** Two gateways; with the first one live users and auth. */
let gateways: Shop["http"][];
let admin: Customer;

async function start(...names: string[]): Promise<Shop["http"]> {
	const schemas = await Promise.all(names.map((name) => loadService(services, name)));
	const broker = makeNode({ ...brokerOptions(env), transporter: "Fake" }, env, schemas);
	brokers.push(broker);
	await broker.start();
	const { server } = broker.getLocalService("api") as unknown as { server: { address(): { port: number } } };
	return httpOf(`http://127.0.0.1:${server.address().port}`);
}

beforeAll(async () => {
	databases = await makeDatabases(["users", "auth"]);
	env = readEnv({
		NODE_ENV: "test",
		NAMESPACE: namespace,
		LOGLEVEL: process.env.LOGLEVEL ?? "fatal",
		PORT: "0",
		BCRYPT_COST: "4",
		DATABASE_URL: databases.pattern,
		JWT_SECRET: "a secret for tests only, long enough to be one",
		RATE_LIMIT_ENABLED: "false",
	});
	gateways = [await start("users", "auth", "api"), await start("api")];
	admin = await makeAdmin({ http: gateways[0]!, call: brokers[0]!.call.bind(brokers[0]) as unknown as Shop["call"] });
	await brokers[1]!.waitForServices(["users", "auth"]);
	await eventually(async () => expect(await statuses(admin.token)).toEqual([200, 200]));
});
afterAll(async () => {
	for (const broker of brokers.reverse()) await broker.stop();
	await databases?.drop();
});

const statuses = (token: string) => Promise.all(gateways.map(async (http) => (await http("GET /api/users/me", { token })).status));
const refusedEverywhere = (token: string) => eventually(async () => expect(await statuses(token)).toEqual([401, 401]), SECONDS);

test.each<[string, (customer: Customer) => [request: string, options: object]]>([
	["was deactivated", ({ id }) => [`DELETE /api/users/${id}`, { token: admin.token }]],
	["got another role", ({ id }) => [`PATCH /api/users/${id}`, { token: admin.token, body: { role: "admin" } }]],
	["signed out everywhere", ({ token }) => ["POST /api/auth/logout-everywhere", { token }]],
])("the token of a user who %s is refused by every gateway within two seconds", async (_what, act) => {
	const customer = await register({ http: gateways[0]! });
	expect(await statuses(customer.token)).toEqual([200, 200]);
	const [request, options] = act(customer);
	expect((await gateways[1]!(request, options)).status).toBeLessThan(300);
	await refusedEverywhere(customer.token);
	expect(await statuses(admin.token)).toEqual([200, 200]);
});

test("a changed password leaves the token good with which it was changed, and no other", async () => {
	const customer = await register({ http: gateways[0]! });
	const other = await login({ http: gateways[1]! }, customer);
	const body = { current_password: customer.password, new_password: "battery staple" };
	const { status } = await gateways[0]!(`POST /api/users/${customer.id}/password`, { token: customer.token, body });
	expect(status).toBe(204);
	await refusedEverywhere(other);
	expect(await statuses(customer.token)).toEqual([200, 200]);
	expect(await statuses(await login({ http: gateways[1]! }, { ...customer, password: "battery staple" }))).toEqual([200, 200]);
});

test("who signs out is out on every gateway, where the refresh token alone told who it was", async () => {
	const customer = await register({ http: gateways[0]! });
	const { body: tokens } = await gateways[0]!("POST /api/users/login", { body: { email: customer.email, password: customer.password } });
	const { refresh_token } = tokens;
	expect((await gateways[1]!("POST /api/auth/logout", { body: { refresh_token } })).status).toBe(204);
	await refusedEverywhere(tokens.access_token);
	expect(await statuses(customer.token)).toEqual([200, 200]);
});

test("a gateway that starts later knows what was revoked before", async () => {
	const customer = await register({ http: gateways[0]! });
	await gateways[0]!(`DELETE /api/users/${customer.id}`, { token: admin.token });
	await refusedEverywhere(customer.token);
	const third = await start("api");
	await eventually(async () => expect((await third("GET /api/users/me", { token: admin.token })).status).toBe(200));
	expect((await third("GET /api/users/me", { token: customer.token })).status).toBe(401);
});

test("without hints the next look finds it", async () => {
	const deaf = await start("api");
	await eventually(async () => expect((await deaf("GET /api/users/me", { token: admin.token })).status).toBe(200));
	const service = brokers.at(-1)!.getLocalService("api") as unknown as { revocations: { wake(): void } };
	service.revocations.wake = () => undefined;
	const customer = await register({ http: gateways[0]! });
	expect((await deaf("GET /api/users/me", { token: customer.token })).status).toBe(200);
	await gateways[0]!(`DELETE /api/users/${customer.id}`, { token: admin.token });
	await eventually(async () => expect((await deaf("GET /api/users/me", { token: customer.token })).status).toBe(401), SECONDS);
});

test("a gateway that has never heard of revocations believes nobody, and says that it is not the caller's fault", async () => {
	await brokers[0]!.destroyService("auth");
	const fresh = await start("api");
	const { status, headers } = await fresh("GET /api/users/me", { token: admin.token });
	expect([status, headers.get("retry-after")]).toEqual([503, "5"]);
	// Those who have go on with what they know.
	expect(await statuses(admin.token)).toEqual([200, 200]);
	brokers[0]!.createService(await loadService(services, "auth"));
	await eventually(async () => expect((await fresh("GET /api/users/me", { token: admin.token })).status).toBe(200));
});
