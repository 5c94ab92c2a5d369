import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { describeWith, type Server, startNats } from "../../test/support/servers.ts";
import { maxPayload, natsClientOf, transporterOf } from "./transit-client.ts";

test("a broker without a transporter has no NATS client", () => {
	const broker = new ServiceBroker({ logger: false });
	expect(transporterOf(broker)).toBeUndefined();
	expect(maxPayload(transporterOf(broker))).toBe(Number.MAX_SAFE_INTEGER);
	expect(natsClientOf(broker)).toBeUndefined();
});

/** Fails when an upgrade of Moleculer or of the NATS client changes the private members. */
describeWith(["nats-server"], "the private NATS client of Moleculer's transporter", () => {
	let folder: string;
	let nats: Server;
	let broker: ServiceBroker;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-transit-"));
		nats = await startNats(folder, { maxPayload: 256 * 1024 });
		broker = new ServiceBroker({
			logger: false,
			transporter: { type: "NATS", options: { url: nats.url } },
		});
		await broker.start();
	});
	afterAll(async () => {
		await broker?.stop();
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	test("provides the server's limits and a round trip", async () => {
		expect(maxPayload(transporterOf(broker))).toBe(256 * 1024);
		await natsClientOf(broker)!.flush();
	});

	test("rejects a round trip on a closed connection", async () => {
		await natsClientOf(broker)!.close();
		await expect(natsClientOf(broker)!.flush()).rejects.toThrow();
	});
});
