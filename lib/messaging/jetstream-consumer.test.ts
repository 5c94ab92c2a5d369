import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "@jest/globals";
import { describeWith, type Server, startNats } from "../../test/support/servers.ts";
import { type EventStream, openJetStream } from "./jetstream.ts";
import { streamOptions } from "./test/stream-options.ts";

describeWith(["nats-server"], "consumers on JetStream", () => {
	let folder: string;
	let nats: Server;
	let stream: EventStream;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-consumers-"));
		nats = await startNats(folder);
		stream = await openJetStream(streamOptions(nats.url));
	});
	afterAll(async () => {
		await stream?.close();
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	test("a consumer that stops while it opens ends", async () => {
		const [begun, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		const nothing = async () => undefined;
		const consumer = stream.follow("shipping", "order.*", nothing, nothing, async () => {
			begun.resolve();
			await opened.promise;
		});
		await begun.promise;
		const stopped = consumer.stop();
		opened.resolve();
		await stopped;
	});
});
