import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

/** A number that V8 derives from its version and the flags of a process. */
async function flagsOf(...args: string[]): Promise<string> {
	const { stdout } = await promisify(execFile)(
		process.execPath,
		[...args, "--print", "v8.cachedDataVersionTag()"],
		{ cwd: import.meta.dirname },
	);
	return stdout;
}

test("a start forbids V8 to allocate objects in the old generation", async () => {
	const expected = await flagsOf("--no-allocation-site-pretenuring");
	// The first module that scripts/start.js loads.
	expect(await flagsOf("--import", "./compile-cache.js")).toBe(expected);
	expect(await flagsOf()).not.toBe(expected);
});
