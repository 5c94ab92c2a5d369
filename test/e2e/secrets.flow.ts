import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeAdmin, makeProduct, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import type { Http } from "../support/http.ts";
import type { AnyShop, Flow } from "./shape.ts";

/** Secrets in settings and requests, none of which may appear in logs or responses. */
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
/** Personal data, which may not appear in logs. */
const personal = {
	name: "PLANTED Person",
	address: "PLANTED Street 1",
	email: "planted@mail.example.com",
};

export const secrets: Flow = (open) => {
	const responses: string[] = [];
	let shop: AnyShop;
	beforeAll(async () => {
		shop = await open({
			LOGLEVEL: "trace",
			JWT_SECRET: planted.signing,
			JWT_SECRET_PREVIOUS: planted.previous,
			SMTP_URL: `smtp://user:${planted.mail}@127.0.0.1:1`,
			CACHER: `redis://:${planted.redis}@127.0.0.1:1`,
			RATE_LIMIT_ENABLED: "true",
			SQL_ECHO: "true",
			EVENT_BACKOFF: "0.05,0.05",
		});
	});
	afterAll(() => shop?.stop());

	const request = async (...args: Parameters<Http>) => {
		const response = await shop.http(...args);
		responses.push(JSON.stringify([[...response.headers], response.body]));
		return response;
	};

	/** Section of the log around a secret, if it was logged. */
	function logged(secret: string): string | undefined {
		const log = shop.log();
		const at = log.toLowerCase().indexOf(secret.toLowerCase());
		return at < 0 ? undefined : log.slice(Math.max(0, at - 300), at + 100);
	}

	test("names, addresses, link tokens and card tokens are not logged", async () => {
		const admin = await makeAdmin(shop);
		const { name, address, email } = personal;
		const account = { email, password: planted.password, full_name: name };
		const { auth, users } = clientOf(shop);
		const user = await users.create(account);
		await request("POST /api/users", { body: account });
		const { access_token: token } = await auth.login({ email, password: planted.password });
		const product = await makeProduct(shop, admin);
		const order = {
			items: [{ product_id: product.id, quantity: 1 }],
			payment_token: planted.card,
			shipping_address: address,
		};
		await request("POST /api/orders", { token, body: order });
		await request("POST /api/orders", { token, body: { ...order, payment_token: "tok_flaky" } });
		await request("POST /api/orders", {
			token,
			body: { ...order, shipping_address: `Undeliverable, ${address}` },
		});
		await request(`GET /api/orders?token=${planted.query}&email=${encodeURIComponent(email)}`, {
			token,
		});
		await request(`GET /api/users/verify-email?token=${planted.query}`);
		await request(`GET /api/products/${encodeURIComponent(email)}`);
		await request(`GET /nowhere/${email}?reset_token=${planted.query}`);
		await request(`PATCH /api/users/${user.id}`, { token, body: { full_name: `${name} again` } });
		await eventually(() => expect(shop.log().split("E-mail failed").length).toBeGreaterThan(2));
		expect(shop.log()).toContain("/nowhere/[e-mail]");
		for (const secret of [
			name,
			address,
			email,
			encodeURIComponent(email),
			planted.query,
			planted.card,
			token,
		])
			expect(logged(secret)).toBeUndefined();
	});

	test("no secret appears in a log or response, also when requests fail", async () => {
		const admin = await makeAdmin(shop);
		const customer = await register(shop);
		const email = `planted-${customer.email}`;
		const account = { email, password: planted.password };
		const user = await clientOf({ http: request }).users.create({ ...account, full_name: "P" });
		const { access_token, refresh_token } = await clientOf(shop).auth.login(account);
		const secrets = [
			...Object.values(planted),
			access_token,
			access_token.split(".")[2]!,
			refresh_token,
			customer.token,
			admin.token,
		];

		await request("POST /api/users/login", { body: { email, password: planted.wrong } });
		await request("POST /api/users/login", {
			body: { email, password: { [planted.wrong]: 1 }.toString() + planted.wrong.repeat(20) },
		});
		await request("POST /api/users", { body: { email, password: planted.password, full_name: 5 } });
		await request("POST /api/auth/refresh", { body: { refresh_token: planted.token } });
		await request("POST /api/users/password-reset/confirm", {
			body: { token: planted.token, new_password: planted.next },
		});
		await request("POST /api/users/verify-email", { body: { token: planted.token } });
		await request(`POST /api/users/${user.id}/password`, {
			token: access_token,
			body: { current_password: planted.wrong, new_password: planted.next },
		});
		await request("GET /api/users/me", { token: `${access_token.slice(0, -3)}abc` });
		await request("POST /api/users/login", { body: `{"password": "${planted.password}", ` });
		await request("POST /api/users/password-reset", { body: { email } });
		// The mail server and Redis are unavailable; now the databases become unavailable too.
		await eventually(() => expect(shop.log()).toContain("E-mail failed"));
		for (const name of ["users", "auth"]) await shop.databases.cut(name);
		const down = await Promise.all([
			request("POST /api/users/login", { body: { email, password: planted.password } }),
			request("POST /api/auth/refresh", { body: { refresh_token } }),
			request("POST /api/users", {
				body: { email: `x${email}`, password: planted.next, full_name: "P" },
			}),
		]);
		for (const { status } of down) expect(status).toBeGreaterThanOrEqual(500);

		const log = shop.log();
		expect(log.split("\n").length).toBeGreaterThan(50);
		expect(log).toContain("A request failed");
		for (const secret of secrets) {
			expect(logged(secret)).toBeUndefined();
			expect(responses.filter((response) => response.includes(secret))).toEqual([]);
		}
		// Password of the database role.
		expect(log).not.toMatch(/postgres:\/\/\w+:secret@/);
		expect(responses.join("\n")).not.toMatch(/\$2[aby]\$\d\d\$|hashed_password/);
	});
};
