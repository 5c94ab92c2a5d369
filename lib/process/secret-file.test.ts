import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { readOrCreateSecret, readSecret } from "./secret-file.ts";
import { StartError } from "./start-error.ts";

let folder: string;
beforeEach(async () => {
	folder = join(await mkdtemp(join(tmpdir(), "moleculer-commerce-keep-")), "data");
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

test("a text is made once, and only its owner can read it", async () => {
	expect(await readSecret(folder, "word")).toBeUndefined();
	expect(await readOrCreateSecret(folder, "word", () => "first")).toBe("first");
	expect(await readOrCreateSecret(folder, "word", () => "second")).toBe("first");
	expect(await readSecret(folder, "word")).toBe("first");
	expect((await stat(join(folder, "word"))).mode & 0o777).toBe(0o600);
});

test("all who ask at once get the same", async () => {
	const words = await Promise.all(
		Array.from({ length: 20 }, (_, i) => readOrCreateSecret(folder, "word", () => `word ${i}`)),
	);
	expect(new Set(words).size).toBe(1);
	expect(await readdir(folder)).toEqual(["word"]);
});

test("a file that cannot be kept, or is empty, stops the start", async () => {
	await readOrCreateSecret(folder, "word", () => "first");
	await expect(readOrCreateSecret(join(folder, "word"), "below", () => "second")).rejects.toThrow(
		StartError,
	);
	await writeFile(join(folder, "empty"), "");
	await expect(readOrCreateSecret(folder, "empty", () => "second")).rejects.toThrow(
		/empty: delete it/,
	);
});
