import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { root } from "../test/support/databases.ts";
import { cleanUp, makeDataFolder, runScript } from "../test/support/program.ts";
import { SharedProcess } from "../test/support/shared-process.ts";

const prefix = `m${randomBytes(4).toString("hex")}_`;
const { host } = new URL(process.env.TEST_POSTGRES!);
const DATABASE_URL = `postgres://${prefix}{service}:secret@${host}/${prefix}{service}`;
const newest = readdirSync(join(root, "services/shipping/migrations"))
	.filter((file) => !file.endsWith(".down.sql"))
	.sort()
	.at(-1)!
	.replace(".sql", "");
/** Not a superuser, because managed servers do not offer one. */
const DATABASE_ADMIN_URL = `postgres://${prefix}admin:secret@${host}/postgres`;
const shared = new SharedProcess();
const superuser = new pg.Client(process.env.TEST_POSTGRES);

beforeAll(async () => {
	await superuser.connect();
	await superuser.query(`create role ${prefix}admin login createdb createrole password 'secret'`);
});
afterAll(async () => {
	await Promise.all([cleanUp(), shared.end()]);
	for (const service of ["shipping", "inventory"]) {
		await superuser.query(`drop database if exists ${prefix}${service} with (force)`);
		await superuser.query(`drop role if exists ${prefix}${service}`);
	}
	await superuser.query(`drop role ${prefix}admin`);
	await superuser.end();
});

const run = async (script: string, args: string[] = [], env: Record<string, string> = {}) => {
	const settings = { SERVICES: "shipping,inventory", DATABASE_URL, ...env };
	const { output, ...end } = await shared.run(script, settings, args);
	return { ...end, output: output.trimEnd().split("\n") };
};

test("npm run migrate creates databases, applies migrations and reverts one", async () => {
	expect(await run("start")).toMatchObject({
		code: 1,
		errors: expect.stringMatching(/rejects the user|does not exist/),
	});

	const settings = { SERVICES: "shipping,inventory", DATABASE_URL };
	const first = runScript("migrate", { ...settings, DATABASE_ADMIN_URL });
	expect(await first.ended).toEqual({ code: 0, errors: "" });
	expect(first.output()).toMatch(new RegExp(`^shipping: applied 0000-events, .*${newest}\n`));
	expect((await run("migrate", ["up"], { DATABASE_ADMIN_URL })).output).toEqual([
		"shipping: up to date",
		"inventory: up to date",
	]);

	const program = runScript("start:node", { ...settings, DATA_DIR: await makeDataFolder() });
	await program.waitForOutput(/started successfully/);
	expect(await program.stop("SIGTERM")).toEqual({ code: 0, errors: "" });

	expect(await run("migrate", ["down", "shipping"])).toMatchObject({
		code: 1,
		errors: expect.stringContaining(`revert ${newest}`),
	});
	expect((await run("migrate", ["down", "shipping", "--yes"])).output).toEqual([
		`shipping: reverted ${newest}`,
	]);
	expect((await run("migrate", ["status"])).output).toEqual([
		expect.stringMatching(/^service +applied +last +at \(UTC\) +state$/),
		expect.stringMatching(new RegExp(`^shipping +\\d+ +\\S+ +\\S+ \\S+ +lacks ${newest}$`)),
		expect.stringMatching(/^inventory +\d+ +\S+ +\S+ \S+ +up to date$/),
	]);
	expect(await run("start")).toMatchObject({
		code: 1,
		errors:
			`moleculer-commerce: migrations are missing in shipping (${newest}): ` +
			`run "npm run migrate" first`,
	});
});

test("a service's role cannot connect to another service's database", async () => {
	const otherService = new pg.Client(
		`postgres://${prefix}shipping:secret@${host}/${prefix}inventory`,
	);
	await expect(otherService.connect()).rejects.toThrow(/permission denied/);
});

test("npm run migrate shows but does not revert migrations of a newer version", async () => {
	const database = new pg.Client(DATABASE_URL.replaceAll("{service}", "inventory"));
	await database.connect();
	await database.query("insert into migrations (name) values ('0099-of-tomorrow')");
	try {
		expect((await run("migrate", ["status"])).output.at(-1)).toMatch(
			/^inventory .* newer: 0099-of-tomorrow$/,
		);
		const { code, errors } = await run("migrate", ["down", "inventory", "--yes"]);
		expect({ code, errors }).toEqual({
			code: 1,
			errors: expect.stringContaining("0099-of-tomorrow was applied by a newer version"),
		});
	} finally {
		await database.query("delete from migrations where name = '0099-of-tomorrow'");
		await database.end();
	}
});

test("npm run migrate rejects unknown arguments and embedded databases", async () => {
	const refused = (why: string) => ({
		code: 1,
		output: [""],
		errors: expect.stringContaining(why),
	});
	expect(await run("migrate", ["sideways"])).toEqual(
		refused('Unknown command "sideways"; "npm run migrate -- --help" lists the arguments'),
	);
	expect(await run("migrate", ["up", "users"])).toEqual(refused('Unexpected argument "users"'));
	expect(await run("migrate", ["--force"])).toEqual(refused("--force"));
	expect(await run("migrate", ["down"])).toEqual(refused('"down" requires the name of a service'));
	expect(await run("migrate", ["down", "users"])).toEqual(refused("not one of"));
	expect(await run("migrate", [], { DATABASE_URL: "" })).toEqual(refused("at each start"));
	expect(await run("migrate", ["--help"])).toMatchObject({
		code: 0,
		output: expect.arrayContaining([expect.stringContaining("status ")]),
	});
});
