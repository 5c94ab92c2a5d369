import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

/** Prints, at the end of a process, a number that V8 derives from its version and the flags. */
const PRINT_FLAGS = `data:text/javascript,
	import { cachedDataVersionTag } from "node:v8";
	process.on("exit", () => console.log(cachedDataVersionTag()));`;

async function flagsOf(...args: string[]): Promise<string> {
	const { stdout } = await promisify(execFile)(
		process.execPath,
		["--no-warnings", "--import", PRINT_FLAGS, ...args],
		{ cwd: import.meta.dirname },
	);
	return stdout.trim().split("\n").at(-1)!;
}

test("a start forbids V8 to allocate objects in the old generation", async () => {
	const expected = await flagsOf("--no-allocation-site-pretenuring", "--eval", "");
	expect(await flagsOf("start.js", "--help")).toBe(expected);
	expect(await flagsOf("--eval", "")).not.toBe(expected);
});
