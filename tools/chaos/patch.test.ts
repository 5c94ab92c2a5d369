import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { sql } from "../../lib/persistence/database.ts";
import { root } from "../../test/support/databases.ts";
import { changed, replace } from "./patch.ts";

const STATEMENTS = "services/orders/saga/statements.ts";
const run = promisify(execFile);

test("a statement that does not exist cannot be replaced", async () => {
	const other = async () => [];
	await expect(replace(STATEMENTS, ["COMPLETE", "UNKNOWN"], other)).rejects.toThrow(
		`${STATEMENTS} exports no statement UNKNOWN`,
	);
	await expect(replace("services/unknown.ts", ["COMPLETE"], other)).rejects.toThrow();
});

test("a text that a statement does not contain cannot be changed", () => {
	const statement = sql("now", "select now()");
	expect(changed(statement, "now()", "1")).toEqual(sql("now_changed", "select 1"));
	expect(() => changed(statement, "later()", "1")).toThrow("does not contain later()");
});

test.each(globSync("tools/chaos/{bugs,slow}/*.ts", { cwd: root }))(
	"%s replaces statements that exist",
	async (file) => {
		const env = { ...process.env, NODE_ENV: "test" };
		const start = (settings: NodeJS.ProcessEnv) =>
			run("node", ["--no-warnings", "--import", `./${file}`, "-e", ""], {
				cwd: root,
				env: settings,
			});
		expect(await start(env)).toEqual({ stdout: "", stderr: "" });
		await expect(start({ ...env, NODE_ENV: "production" })).rejects.toThrow(
			"only with NODE_ENV=test",
		);
	},
);
