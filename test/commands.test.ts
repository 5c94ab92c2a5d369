import { readdirSync, readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, jest, test } from "@jest/globals";
import { makeCheckout } from "./support/checkout.ts";
import { root } from "./support/databases.ts";
import { filesIn } from "./support/imports.ts";
import { cleanUp, makeDataFolder, runScript } from "./support/program.ts";

jest.setTimeout(60_000);
afterEach(cleanUp);

/** Programs of others, which read their own arguments. */
const TOOLS = /^(biome|tsc|npm|node (--\S+ )*node_modules)\b/;

/** Programs that only other programs start. */
const INTERNAL = ["tools/event-storm/consumer.ts"];

const scripts = Object.entries(
	JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts as Record<string, string>,
);
const ours = scripts.filter(([, command]) => !TOOLS.test(command));
const commands = ours.map(([name]) => name);

/** The time at which each file that a command could write was written. */
const written = (): string[] =>
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
	const before = written();
	const DATA_DIR = join(await makeDataFolder(), "data");
	const program = runScript(name, { DATA_DIR, PORT: "0" }, { args });
	const { code, errors } = await program.ended;
	expect(written()).toEqual(before);
	expect(await readdir(join(DATA_DIR, ".."))).toEqual([]);
	return { code, errors, output: program.output() };
}

describe("every command", () => {
	test("that a user starts is a script of package.json", () => {
		const programs = filesIn(root, "scripts", "tools").filter(
			(file) =>
				/(?<!\.test)\.ts$/.test(file) &&
				!INTERNAL.includes(file) &&
				/\brunProgram\(/.test(readFileSync(join(root, file), "utf8")),
		);
		const isScript = (file: string) =>
			ours.some(([, command]) => command.includes(file.replace(/ts$/, "")));
		expect(programs.filter((file) => !isScript(file))).toEqual([]);
		expect(programs.length).toBeGreaterThan(10);
	});

	test.each(commands)("%s prints its usage for --help, and changes nothing", async (name) => {
		for (const flag of ["--help", "-h"]) {
			const { code, errors, output } = await run(name, [flag]);
			expect({ code, errors }).toEqual({ code: 0, errors: "" });
			expect(output).toMatch(/^npm (run \S+|start)/);
		}
	});

	test.each(commands)(
		"%s rejects an unknown flag in one line with the next step, and changes nothing",
		async (name) => {
			const { code, errors, output } = await run(name, ["--bogus"]);
			expect({ code, output }).toEqual({ code: 1, output: "" });
			expect(errors).toMatch(/^[^\n]*--bogus[^\n]*--help[^\n]*$/);
		},
	);
});

test.each(["setup.sh", "deploy.sh"] as const)(
	"scripts/%s prints its usage for --help and rejects unknown flags, and does nothing",
	(script) => {
		const checkout = makeCheckout(["node", "npm", "docker", "docker-compose", "kubectl"]);
		try {
			const nothing = { calls: [""] };
			expect(checkout.run(script, ["--help"])).toMatchObject({
				code: 0,
				errors: "",
				output: expect.stringMatching(/^\w.*\n/),
				...nothing,
			});
			expect(checkout.run(script, ["--bogus"])).toMatchObject({
				code: 1,
				errors: expect.stringMatching(/^.*--bogus.*--help.*\n$/),
				...nothing,
			});
		} finally {
			checkout.remove();
		}
	},
);

test("repl parses a command before it joins the cluster", async () => {
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
