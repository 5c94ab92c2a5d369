import { readdirSync, readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { makeCheckout } from "./support/checkout.ts";
import { root } from "./support/databases.ts";
import { filesIn } from "./support/imports.ts";
import { cleanUp, makeDataFolder, scripts } from "./support/program.ts";
import { SharedProcess } from "./support/shared-process.ts";

const shared = new SharedProcess();
afterEach(cleanUp);
afterAll(() => shared.end());

/** Third-party programs, which parse their own arguments. */
const THIRD_PARTY = /^(biome|tsc|knip|npm|node (--\S+ )*node_modules)\b/;

/** Programs that only other programs start. */
const INTERNAL = ["tools/event-storm/consumer.ts"];

const own = Object.entries(scripts).filter(([, command]) => !THIRD_PARTY.test(command));
const commands = own.map(([name]) => name);

/** Modification times of all files that a command could write. */
const modificationTimes = (): string[] =>
	["docs", "k8s", "secrets"]
		.flatMap((folder) => {
			try {
				return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) =>
					join(root, folder, file),
				);
			} catch {
				return [];
			}
		})
		.concat(["package.json", "package-lock.json", ".data", "data"].map((file) => join(root, file)))
		.map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`);

async function run(name: string, args: readonly string[]) {
	const before = modificationTimes();
	const DATA_DIR = join(await makeDataFolder(), "data");
	const outcome = await shared.run(name, { DATA_DIR, PORT: "0" }, args);
	expect(modificationTimes()).toEqual(before);
	expect(await readdir(join(DATA_DIR, ".."))).toEqual([]);
	return outcome;
}

describe("every command", () => {
	test("of scripts/ and tools/ is a script of package.json", () => {
		const programs = filesIn(root, "scripts", "tools").filter(
			(file) =>
				/(?<!\.test)\.ts$/.test(file) &&
				!INTERNAL.includes(file) &&
				/\brunProgram\(/.test(readFileSync(join(root, file), "utf8")),
		);
		const isScript = (file: string) =>
			own.some(([, command]) => command.includes(file.replace(/ts$/, "")));
		expect(programs.filter((file) => !isScript(file))).toEqual([]);
		expect(programs.length).toBeGreaterThan(10);
	});

	test.each(commands)("%s prints its usage for --help and changes nothing", async (name) => {
		for (const flag of ["--help", "-h"]) {
			const { code, errors, output } = await run(name, [flag]);
			expect({ code, errors }).toEqual({ code: 0, errors: "" });
			expect(output).toMatch(/^npm (run \S+|start)/);
		}
	});

	test.each(commands)(
		"%s rejects an unknown flag with one line that names --help, and changes nothing",
		async (name) => {
			const { code, errors, output } = await run(name, ["--bogus"]);
			expect({ code, output }).toEqual({ code: 1, output: "" });
			expect(errors).toMatch(/^[^\n]*--bogus[^\n]*--help[^\n]*$/);
		},
	);
});

test.each(["setup.sh", "deploy.sh"] as const)(
	"scripts/%s prints its usage for --help, rejects unknown flags and runs no command",
	(script) => {
		const checkout = makeCheckout(["node", "npm", "docker", "docker-compose", "kubectl"]);
		try {
			const noCalls = { calls: [""] };
			expect(checkout.run(script, ["--help"])).toMatchObject({
				code: 0,
				errors: "",
				output: expect.stringMatching(/^\w.*\n/),
				...noCalls,
			});
			expect(checkout.run(script, ["--bogus"])).toMatchObject({
				code: 1,
				errors: expect.stringMatching(/^.*--bogus.*--help.*\n$/),
				...noCalls,
			});
		} finally {
			checkout.remove();
		}
	},
);

test("repl validates a command before it connects to the cluster", async () => {
	for (const args of [
		["dlq", "ls", "--bogus"],
		["dlq", "show"],
		["dlq", "burn"],
	]) {
		const { code, errors } = await run("repl", args);
		expect({ code, lines: errors.split("\n").length, errors }).toMatchObject({
			code: 1,
			lines: 1,
			errors: expect.not.stringContaining("TRANSPORTER"),
		});
	}
});
