import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "./support/databases.ts";
import { cleanUp, makeDataFolder, runScript } from "./support/program.ts";

let databases: Databases;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
});
afterAll(async () => {
	await cleanUp();
	await databases?.drop();
});
const start = async (env: Record<string, string> = {}) =>
	runScript("start:node", {
		SERVICES: "shipping",
		DATABASE_URL: databases.pattern,
		DATA_DIR: await makeDataFolder(),
		...env,
	});

test("an embedded shop locks its databases against other shops until it stops", async () => {
	const first = await start();
	await first.waitForOutput(/started successfully/);
	const [second, node] = await Promise.all([start(), start({ TRANSPORTER: "nats://127.0.0.1:1" })]);
	expect(await second.ended).toEqual({ code: 1, errors: "" });
	expect(second.output()).toMatch(/another shop uses the database \w+shipping/);
	expect(await node.ended).toEqual({ code: 1, errors: "" });
	expect(node.output()).toMatch(/a shop that caches in its memory uses/);
	expect(await first.stop("SIGTERM")).toEqual({ code: 0, errors: "" });
	const third = await start();
	await third.waitForOutput(/started successfully/);
	expect(await third.stop("SIGTERM")).toEqual({ code: 0, errors: "" });
});
