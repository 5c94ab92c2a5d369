import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, startRedis } from "../../test/support/servers.ts";
import { connectRedis } from "./redis-connection.ts";

const quiet = { warn: () => undefined, info: () => undefined };

describeWith(["redis-server"], "a connection to Redis", () => {
	test("limits the handshake of each attempt, and not the commands after it", async () => {
		const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-connection-"));
		const redis = await startRedis(folder);
		const connection = connectRedis(redis.url, quiet);
		const isReady = () => eventually(() => expect(connection.status).toBe("ready"));
		try {
			// Redis responds after this number of seconds.
			const respondLate = () => connection.blpop("nothing", 2.2);
			await isReady();
			expect(await respondLate()).toBeNull();
			redis.process.pause();
			const { promise: failed, resolve: fail } = Promise.withResolvers<void>();
			connection.once("connect", () => connection.once("close", fail));
			connection.disconnect(true);
			await failed;
			redis.process.resume();
			await isReady();
			expect(await respondLate()).toBeNull();
		} finally {
			redis.process.resume();
			connection.disconnect();
			await redis.stop();
			await rm(folder, { recursive: true, force: true });
		}
	});
});
