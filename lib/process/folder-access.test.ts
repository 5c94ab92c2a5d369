import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { testIf } from "../../test/support/skip.ts";
import { makeFolders } from "./folder-access.ts";

let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-folders-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("makeFolders creates a folder and its parents, also concurrently", async () => {
	const path = join(folder, "a/b/c");
	await Promise.all([1, 2, 3, 4].map(() => makeFolders(path)));
	await makeFolders(path);
	expect((await stat(path)).isDirectory()).toBe(true);
});

test.each([
	["at a file", "file", "EEXIST"],
	["below a file", "file/data", "ENOTDIR"],
])("makeFolders fails %s", async (_, path, code) => {
	await writeFile(join(folder, "file"), "");
	await expect(makeFolders(join(folder, path))).rejects.toMatchObject({ code });
});

testIf(process.platform === "linux", "there is no /proc on this system")(
	"makeFolders fails in a file system that cannot create folders",
	async () => {
		await expect(makeFolders("/proc/moleculer-commerce/data")).rejects.toMatchObject({
			code: "ENOENT",
		});
	},
);
