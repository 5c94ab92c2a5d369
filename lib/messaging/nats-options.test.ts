import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, type Server, startNats } from "../../test/support/servers.ts";
import type { Event } from "../contracts/event.ts";
import { StartError } from "../process/start-error.ts";
import { openJetStream } from "./jetstream.ts";
import { natsOptions } from "./nats-options.ts";
import { streamOptions } from "./test/stream-options.ts";

test("an invalid URL is rejected", () => {
	expect(() => natsOptions("nats://user:a/b@host", "test")).toThrow(StartError);
});

test("several servers share the credentials of one", () => {
	expect(natsOptions("nats://shop:a%2Fb@one:4222,nats://two", "test")).toMatchObject({
		servers: ["one:4222", "two"],
		user: "shop",
		pass: "a/b",
	});
	expect(natsOptions("nats://s3cret@one", "test")).toMatchObject({ token: "s3cret" });
});

describeWith(["nats-server"], "a NATS server that requires a password", () => {
	const PASSWORD = "a/b:c#d";
	let folder: string;
	let nats: Server;
	let password = PASSWORD;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-nats-"));
		nats = await startNats(folder, { args: () => ["--user", "shop", "--pass", password] });
	});
	afterAll(async () => {
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	async function restart(newPassword: string): Promise<void> {
		password = newPassword;
		await nats.process.kill();
		await nats.restart();
	}

	test("publishes events, also after it has rejected the password for a while", async () => {
		const stream = await openJetStream(
			streamOptions(nats.url.replace("//", `//shop:${encodeURIComponent(PASSWORD)}@`)),
		);
		const publish = () => stream.publish([{ id: uuid(), type: "order.created" } as Event]);
		await stream.inspect(undefined);
		await publish();

		await restart("another");
		const { process } = nats;
		// By default, the second rejection would end the connection.
		await eventually(() =>
			expect(process.log().match(/authentication error/g)?.length).toBeGreaterThan(2),
		);
		await restart(PASSWORD);
		await eventually(publish);
		await stream.close();
	});
});
