import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { readOrCreateSecret, readSecret } from "./secret-file.ts";
import { StartError } from "./start-error.ts";

let folder: string;
beforeEach(async () => {
	folder = join(await mkdtemp(join(tmpdir(), "moleculer-commerce-secret-")), "data");
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

test("a secret is created once, and only its owner can read it", async () => {
	expect(await readSecret(folder, "word")).toBeUndefined();
	expect(await readOrCreateSecret(folder, "word", () => "first")).toBe("first");
	expect(await readOrCreateSecret(folder, "word", () => "second")).toBe("first");
	expect(await readSecret(folder, "word")).toBe("first");
	expect((await stat(join(folder, "word"))).mode & 0o777).toBe(0o600);
});

test("concurrent callers get the same secret", async () => {
	const words = await Promise.all(
		Array.from({ length: 20 }, (_, i) => readOrCreateSecret(folder, "word", () => `word ${i}`)),
	);
	expect(new Set(words).size).toBe(1);
	expect(await readdir(folder)).toEqual(["word"]);
});

test("an unusable path or an empty file fails the start", async () => {
	await readOrCreateSecret(folder, "word", () => "first");
	await expect(readOrCreateSecret(join(folder, "word"), "below", () => "second")).rejects.toThrow(
		StartError,
	);
	await writeFile(join(folder, "empty"), "");
	await expect(readOrCreateSecret(folder, "empty", () => "second")).rejects.toThrow(
		/empty: delete it/,
	);
});
