import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { readEnv } from "../../lib/settings/env.ts";
import { assertSecrets } from "../../scripts/secrets.ts";

const good = "sYb3kQ8vXw1ZrT6nUe0cJm5hPq2dLf9a";
const production = { NODE_ENV: "production", JWT_SECRET: good };
const start = (env: Record<string, string | undefined>, services = ["api", "auth", "users"]) =>
	assertSecrets(readEnv(env), services);

test("production accepts strong secrets", () => {
	expect(() => start(production)).not.toThrow();
	expect(() =>
		start({
			...production,
			ADMIN_PASSWORD: "tR4-vm9.Kx2",
			JWT_SECRET_PREVIOUS: [...good].reverse().join(""),
		}),
	).not.toThrow();
});

test.each([
	["no signing secret", { JWT_SECRET: undefined }, "JWT_SECRET is missing"],
	["a short signing secret", { JWT_SECRET: good.slice(1) }, "JWT_SECRET"],
	[
		"a signing secret from a tutorial",
		{ JWT_SECRET: "your-256-bit-secret-your-256-bit-secret" },
		"JWT_SECRET is easily guessed",
	],
	[
		"a signing secret with few distinct characters",
		{ JWT_SECRET: "abcabcabcabcabcabcabcabcabcabcabc" },
		"JWT_SECRET is easily guessed",
	],
	[
		"a previous secret from a tutorial",
		{ JWT_SECRET_PREVIOUS: "changeme-changeme-changeme-changeme" },
		"JWT_SECRET_PREVIOUS is easily guessed",
	],
	["a short previous secret", { JWT_SECRET_PREVIOUS: "short" }, "JWT_SECRET_PREVIOUS"],
	[
		"a default administrator's password",
		{ ADMIN_PASSWORD: "admin123" },
		"ADMIN_PASSWORD is easily guessed",
	],
	[
		"a well-known administrator's password",
		{ ADMIN_PASSWORD: "Password1!" },
		"ADMIN_PASSWORD is easily guessed",
	],
])("production rejects %s and does not print it", (_case, env, reason) => {
	const attempt = () => start({ ...production, ...env });
	expect(attempt).toThrow(reason);
	const [value] = Object.values(env);
	if (value) expect(attempt).not.toThrow(value);
});

test("a node that neither signs nor verifies tokens requires no signing secret", () => {
	expect(() => start({ NODE_ENV: "production" }, ["products"])).not.toThrow();
});

test("every secret can be read from a file", () => {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-secrets-"));
	try {
		const secrets: Record<string, string> = {
			JWT_SECRET: good,
			JWT_SECRET_PREVIOUS: `${good}2`,
			ADMIN_PASSWORD: "tR4-vm9.Kx2",
			DATABASE_URL: "postgres://{service}:p@host:5432/{service}",
			DATABASE_ADMIN_URL: "postgres://root:p@host:5432/postgres",
			SMTP_URL: "smtp://user:p@host:587",
			CACHER: "redis://:p@host:6379",
			TRANSPORTER: "nats://user:p@host:4222",
		};
		const files = Object.entries(secrets).map(([name, value]) => {
			writeFileSync(join(folder, name), `${value}\n`);
			return [`${name}_FILE`, join(folder, name)];
		});
		expect(readEnv(Object.fromEntries(files))).toMatchObject(secrets);
		expect(() => readEnv({ JWT_SECRET_FILE: join(folder, "nothing") })).toThrow(
			"Cannot read the file in JWT_SECRET_FILE",
		);
	} finally {
		rmSync(folder, { recursive: true });
	}
});
