import { inspect } from "node:util";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { makeAdmin, makeProduct, register } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { type Shop, startShop } from "../support/shop.ts";

/** Each in a place of its own; none may come out anywhere else. */
const planted = {
	signing: "PLANTED-signing-8fA2kQ9xW1zR7vT3",
	previous: "PLANTED-previous-5hJ8mN2bV6cX4qLp",
	mail: "PLANTED-mail-password",
	redis: "PLANTED-redis-password",
	password: "PLANTED-password",
	wrong: "PLANTED-wrong-password",
	next: "PLANTED-next-password",
	token: "PLANTED-token",
	query: "PLANTED-query-token",
	card: "tok_PLANTED_card",
};
/** Who somebody is and where they live, which nobody needs to know who reads a log. */
const personal = { name: "PLANTED Person", address: "PLANTED Street 1", email: "planted@mail.example.com" };
const said: string[] = [];
const answers: string[] = [];
let shop: Shop;
beforeAll(async () => {
	for (const level of ["debug", "info", "log", "warn", "error", "trace"] as const) {
		jest
			.spyOn(console, level)
			.mockImplementation((...args: unknown[]) => void said.push(args.map((arg) => inspect(arg, { depth: 20 })).join(" ")));
	}
	shop = await startShop({
		onLog: (line) => void said.push(line),
		env: {
			LOGLEVEL: "trace",
			JWT_SECRET: planted.signing,
			JWT_SECRET_PREVIOUS: planted.previous,
			SMTP_URL: `smtp://user:${planted.mail}@127.0.0.1:1`,
			CACHER: `redis://:${planted.redis}@127.0.0.1:1`,
			RATE_LIMIT_ENABLED: "true",
			SQL_ECHO: "true",
			EVENT_BACKOFF: "0.05,0.05",
		},
	});
});
afterAll(async () => {
	await shop?.stop();
	jest.restoreAllMocks();
});

const ask = async (...request: Parameters<Shop["http"]>) => {
	const answer = await shop.http(...request);
	answers.push(JSON.stringify([[...answer.headers], answer.body]));
	return answer;
};

/** Where it came out, if it did. */
function seen(secret: string): string | undefined {
	const line = said.find((one) => one.toLowerCase().includes(secret.toLowerCase()));
	const at = line?.toLowerCase().indexOf(secret.toLowerCase()) ?? 0;
	return line?.slice(Math.max(0, at - 300), at + 100);
}

test("nobody's name or address, and no token of a link or a card, gets into the log", async () => {
	const admin = await makeAdmin(shop);
	const { name, address, email } = personal;
	const { body: user } = await shop.http("POST /api/users", { body: { email, password: planted.password, full_name: name } });
	await ask("POST /api/users", { body: { email, password: planted.password, full_name: name } });
	const { body: tokens } = await shop.http("POST /api/users/login", { body: { email, password: planted.password } });
	const { access_token: token } = tokens;
	const product = await makeProduct(shop, admin);
	const order = { items: [{ product_id: product.id, quantity: 1 }], payment_token: planted.card, shipping_address: address };
	await ask("POST /api/orders", { token, body: order });
	await ask("POST /api/orders", { token, body: { ...order, payment_token: "tok_flaky" } });
	await ask("POST /api/orders", { token, body: { ...order, shipping_address: `Undeliverable, ${address}` } });
	await ask(`GET /api/orders?token=${planted.query}&email=${encodeURIComponent(email)}`, { token });
	await ask(`GET /api/users/verify-email?token=${planted.query}`);
	await ask(`GET /api/products/${encodeURIComponent(email)}`);
	await ask(`GET /nowhere/${email}?reset_token=${planted.query}`);
	await ask(`PATCH /api/users/${user.id}`, { token, body: { full_name: `${name} again` } });
	await ask("GET /api/users?limit=5", { token: admin.token });
	await eventually(() => expect(said.filter((line) => line.includes("A mail failed")).length).toBeGreaterThan(1));
	expect(said.some((line) => line.includes(`"path":"/api/orders"`))).toBe(true);
	for (const secret of [name, address, email, encodeURIComponent(email), planted.query, planted.card, token])
		expect(seen(secret)).toBeUndefined();
});

test("nothing secret that goes in comes out in a log or an error, whatever goes wrong", async () => {
	const admin = await makeAdmin(shop);
	const customer = await register(shop);
	const email = `planted-${customer.email}`;
	const { body: user } = await ask("POST /api/users", { body: { email, password: planted.password, full_name: "P" } });
	const { body: tokens } = await shop.http("POST /api/users/login", { body: { email, password: planted.password } });
	const { access_token, refresh_token } = tokens;
	const secrets = [...Object.values(planted), access_token, access_token.split(".")[2], refresh_token, customer.token, admin.token];

	await ask("POST /api/users/login", { body: { email, password: planted.wrong } });
	await ask("POST /api/users/login", { body: { email, password: { [planted.wrong]: 1 }.toString() + planted.wrong.repeat(20) } });
	await ask("POST /api/users", { body: { email, password: planted.password, full_name: 5 } });
	await ask("POST /api/auth/refresh", { body: { refresh_token: planted.token } });
	await ask("POST /api/users/password-reset/confirm", { body: { token: planted.token, new_password: planted.next } });
	await ask("POST /api/users/verify-email", { body: { token: planted.token } });
	await ask(`POST /api/users/${user.id}/password`, {
		token: access_token,
		body: { current_password: planted.wrong, new_password: planted.next },
	});
	await ask("GET /api/users/me", { token: `${access_token.slice(0, -3)}abc` });
	await ask("POST /api/users/login", { body: `{"password": "${planted.password}", ` });
	await ask("POST /api/users/password-reset", { body: { email } });
	// Mail fails, Redis is not there; now the databases go as well.
	await eventually(() => expect(said.join("\n")).toContain("A mail failed"));
	for (const name of ["users", "auth"])
		await (shop.broker.getLocalService(name) as unknown as { db: { close(): Promise<void> } }).db.close();
	const down = await Promise.all([
		ask("POST /api/users/login", { body: { email, password: planted.password } }),
		ask("POST /api/auth/refresh", { body: { refresh_token } }),
		ask("POST /api/users", { body: { email: `x${email}`, password: planted.next, full_name: "P" } }),
	]);
	for (const { status } of down) expect(status).toBeGreaterThanOrEqual(500);

	expect(said.length).toBeGreaterThan(50);
	const log = said.join("\n");
	expect(log).toContain("A request failed");
	for (const secret of secrets) {
		expect(seen(secret)).toBeUndefined();
		expect(answers.filter((answer) => answer.includes(secret))).toEqual([]);
	}
	// The database's own password; the role's name is part of it in no way.
	expect(log).not.toMatch(/postgres:\/\/\w+:secret@/);
	expect(answers.join("\n")).not.toMatch(/\$2[aby]\$\d\d\$|hashed_password/);
});
