import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, type Server, startNats } from "../../test/support/servers.ts";
import type { Event } from "../contracts/event.ts";
import { LEAST_MAX_PAYLOAD } from "../resilience/message-size.ts";
import { openJetStream } from "./jetstream.ts";
import { streamOptions } from "./test/stream-options.ts";

const DATA_BYTES = 64 * 1024;

describeWith(["nats-server"], "events at the message limits of NATS", () => {
	const folders: string[] = [];
	const servers: Server[] = [];
	const start = async (maxPayload: number) => {
		const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-limits-"));
		folders.push(folder);
		const server = await startNats(folder, { maxPayload });
		servers.push(server);
		return server.url;
	};
	let url: string;
	beforeAll(async () => {
		url = await start(LEAST_MAX_PAYLOAD);
	});
	afterAll(async () => {
		await Promise.all(servers.map((server) => server.stop()));
		await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
	});
	const event = (data: object) =>
		({ id: uuid(), type: "order.created", subject: uuid(), data }) as unknown as Event;
	const storeInvalid = async () => undefined;

	test("rejects a server with a small limit and names the setting", async () => {
		const small = await start(LEAST_MAX_PAYLOAD - 1);
		await expect(openJetStream(streamOptions(small))).rejects.toThrow(
			`NATS takes messages of ${LEAST_MAX_PAYLOAD - 1} bytes: ` +
				`set its max_payload to ${LEAST_MAX_PAYLOAD} or more`,
		);
	});

	test("the smallest accepted limit is sufficient for the largest events", async () => {
		const stream = await openJetStream(streamOptions(url));
		const largest = { text: "" };
		largest.text = "x".repeat(DATA_BYTES - JSON.stringify(largest).length);
		const events = Array.from({ length: 20 }, () => event(largest));
		await stream.inspect(undefined);
		await stream.publish(events);
		const received = new Set<string>();
		const follower = stream.follow(
			"group",
			"order.*",
			async (found) => found.forEach(({ id }) => void received.add(id)),
			storeInvalid,
			async () => undefined,
		);
		await eventually(() => expect(received.size).toBe(20));
		await follower.stop();
		await stream.close();
	});
});
