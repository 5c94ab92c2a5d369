import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { readEnv } from "./env.ts";
import { settings } from "./settings.ts";

const names = Object.keys(settings) as (keyof typeof settings)[];

/** Invalid values; each setting with a rule rejects at least one of them. */
const INVALID = ["\0", "?", "x", "-1", "9999999999", "1.5", "x@", "postgres://host/fixed"];

function errorMessage(env: Record<string, string>): string | undefined {
	try {
		readEnv(env);
	} catch (error) {
		return (error as Error).message;
	}
}

describe("an invalid setting", () => {
	const failures = names.flatMap((name) =>
		INVALID.map((value) => ({ name, value, message: errorMessage({ [name]: value }) })),
	);
	const rejected = failures.filter(({ message }) => message !== undefined) as {
		name: string;
		value: string;
		message: string;
	}[];

	test("is described as a sentence that starts with its name", () => {
		const sentence =
			/^Invalid setting in the environment\. [A-Z_]+ (must|has|length must|contains) .*\(.+\)$/;
		expect(rejected.filter(({ message }) => !sentence.test(message))).toEqual([]);
		expect(new Set(rejected.map(({ name }) => name)).size).toBeGreaterThan(40);
	});

	test("is not repeated, because it may be a secret", () => {
		const secret = "s3cr";
		const messages = names.map((name) => errorMessage({ [name]: secret })).filter(Boolean);
		expect(messages.length).toBeGreaterThan(20);
		expect(messages.filter((message) => message!.includes(secret))).toEqual([]);
	});

	test("has an error that lists the valid values", () => {
		expect(errorMessage({ LOGLEVEL: "loud" })).toContain(
			"LOGLEVEL must be one of fatal, error, warn, info, debug, trace (",
		);
		expect(errorMessage({ PORT: "http" })).toContain(
			"PORT must be a number (Port that the gateway listens on)",
		);
	});
});

describe("a setting from a file", () => {
	let folder: string;
	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-env-"));
		writeFileSync(join(folder, "value"), "shop\n");
	});
	afterEach(() => rmSync(folder, { recursive: true }));

	test("is rejected if the variable is set as well, for all settings", () => {
		const file = join(folder, "value");
		const accepted = names.filter(
			(name) =>
				!errorMessage({ [name]: "x", [`${name}_FILE`]: file })?.includes(
					`${name} and ${name}_FILE are both set`,
				),
		);
		expect(accepted).toEqual([]);
	});

	test("is read if the variable is empty", () => {
		expect(readEnv({ NAMESPACE: "", NAMESPACE_FILE: join(folder, "value") }).NAMESPACE).toBe(
			"shop",
		);
	});
});
