import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, test } from "@jest/globals";
import { databaseUrl } from "../lib/persistence/database.ts";
import type {} from "../services/shipping/shipping.contract.ts";
import { makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { freePort } from "../test/support/processes.ts";
import { startShop } from "../test/support/shop.ts";

test("a service that starts while Postgres is away waits for it", async () => {
	const databases = await makeDatabases(["shipping"]);
	const { hostname, port } = new URL(databaseUrl(databases.pattern, "shipping"));
	const address = { host: "127.0.0.1", port: await freePort() };
	const log: string[] = [];
	const starting = startShop({
		services: ["shipping"],
		env: {
			LOGLEVEL: "warn",
			DATABASE_URL: databases.pattern.replace(
				`${hostname}:${port}`,
				`${address.host}:${address.port}`,
			),
		},
		onLog: (line) => log.push(line),
	});
	await eventually(() => expect(log.join("\n")).toContain("Postgres does not respond"));
	const proxy = createServer((client) => {
		const server = connect(Number(port), hostname);
		client.pipe(server).pipe(client);
		for (const socket of [client, server]) socket.on("error", () => client.destroy());
	}).listen(address);
	await once(proxy, "listening");
	const shop = await starting;
	expect(await shop.call("shipping.resolve", { order_ids: [] })).toEqual([]);
	await shop.stop();
	proxy.close();
	await databases.drop();
});
