import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeAdmin, makeProduct, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import type { Http } from "../support/http.ts";
import { type AnyShop, type Flow, START_MS } from "./shape.ts";

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
const personal = {
	name: "PLANTED Person",
	address: "PLANTED Street 1",
	email: "planted@mail.example.com",
};

export const secrets: Flow = (open) => {
	const answers: string[] = [];
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
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const ask = async (...request: Parameters<Http>) => {
		const answer = await shop.http(...request);
		answers.push(JSON.stringify([[...answer.headers], answer.body]));
		return answer;
	};

	/** Where in the log it came out, if it did. */
	function seen(secret: string): string | undefined {
		const log = shop.log();
		const at = log.toLowerCase().indexOf(secret.toLowerCase());
		return at < 0 ? undefined : log.slice(Math.max(0, at - 300), at + 100);
	}

	test("nobody's name or address, and no token of a link or a card, gets into the log", async () => {
		const admin = await makeAdmin(shop);
		const { name, address, email } = personal;
		const account = { email, password: planted.password, full_name: name };
		const { body: user } = await shop.http("POST /api/users", { body: account });
		await ask("POST /api/users", { body: account });
		const { body: tokens } = await shop.http("POST /api/users/login", {
			body: { email, password: planted.password },
		});
		const { access_token: token } = tokens;
		const product = await makeProduct(shop, admin);
		const order = {
			items: [{ product_id: product.id, quantity: 1 }],
			payment_token: planted.card,
			shipping_address: address,
		};
		await ask("POST /api/orders", { token, body: order });
		await ask("POST /api/orders", { token, body: { ...order, payment_token: "tok_flaky" } });
		await ask("POST /api/orders", {
			token,
			body: { ...order, shipping_address: `Undeliverable, ${address}` },
		});
		await ask(`GET /api/orders?token=${planted.query}&email=${encodeURIComponent(email)}`, {
			token,
		});
		await ask(`GET /api/users/verify-email?token=${planted.query}`);
		await ask(`GET /api/products/${encodeURIComponent(email)}`);
		await ask(`GET /nowhere/${email}?reset_token=${planted.query}`);
		await ask(`PATCH /api/users/${user.id}`, { token, body: { full_name: `${name} again` } });
		await eventually(() => expect(shop.log().split("A mail failed").length).toBeGreaterThan(2));
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
			expect(seen(secret)).toBeUndefined();
	});

	test("nothing secret that goes in comes out in a log or an error, whatever goes wrong", async () => {
		const admin = await makeAdmin(shop);
		const customer = await register(shop);
		const email = `planted-${customer.email}`;
		const { body: user } = await ask("POST /api/users", {
			body: { email, password: planted.password, full_name: "P" },
		});
		const { body: tokens } = await shop.http("POST /api/users/login", {
			body: { email, password: planted.password },
		});
		const { access_token, refresh_token } = tokens;
		const secrets = [
			...Object.values(planted),
			access_token,
			access_token.split(".")[2],
			refresh_token,
			customer.token,
			admin.token,
		];

		await ask("POST /api/users/login", { body: { email, password: planted.wrong } });
		await ask("POST /api/users/login", {
			body: { email, password: { [planted.wrong]: 1 }.toString() + planted.wrong.repeat(20) },
		});
		await ask("POST /api/users", { body: { email, password: planted.password, full_name: 5 } });
		await ask("POST /api/auth/refresh", { body: { refresh_token: planted.token } });
		await ask("POST /api/users/password-reset/confirm", {
			body: { token: planted.token, new_password: planted.next },
		});
		await ask("POST /api/users/verify-email", { body: { token: planted.token } });
		await ask(`POST /api/users/${user.id}/password`, {
			token: access_token,
			body: { current_password: planted.wrong, new_password: planted.next },
		});
		await ask("GET /api/users/me", { token: `${access_token.slice(0, -3)}abc` });
		await ask("POST /api/users/login", { body: `{"password": "${planted.password}", ` });
		await ask("POST /api/users/password-reset", { body: { email } });
		// Mail fails, Redis is not there; now the databases go as well.
		await eventually(() => expect(shop.log()).toContain("A mail failed"));
		for (const name of ["users", "auth"]) await shop.databases.cut(name);
		const down = await Promise.all([
			ask("POST /api/users/login", { body: { email, password: planted.password } }),
			ask("POST /api/auth/refresh", { body: { refresh_token } }),
			ask("POST /api/users", {
				body: { email: `x${email}`, password: planted.next, full_name: "P" },
			}),
		]);
		for (const { status } of down) expect(status).toBeGreaterThanOrEqual(500);

		const log = shop.log();
		expect(log.split("\n").length).toBeGreaterThan(50);
		expect(log).toContain("A request failed");
		for (const secret of secrets) {
			expect(seen(secret)).toBeUndefined();
			expect(answers.filter((answer) => answer.includes(secret))).toEqual([]);
		}
		// The database's own password; the role's name is part of it in no way.
		expect(log).not.toMatch(/postgres:\/\/\w+:secret@/);
		expect(answers.join("\n")).not.toMatch(/\$2[aby]\$\d\d\$|hashed_password/);
	});
};
