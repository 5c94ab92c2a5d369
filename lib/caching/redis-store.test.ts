import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { describeWith, startRedis } from "../../test/support/servers.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisStore } from "./redis-store.ts";

const quiet = { warn: () => undefined, info: () => undefined };

describeWith(["redis-server"], "holds in Redis", () => {
	test("a hold ends with its last live holder, and holds of earlier versions count", async () => {
		const folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-holds-"));
		const redis = await startRedis(folder);
		const [raw, own] = [connectRedis(redis.url, quiet), connectRedis(redis.url, quiet)];
		const store = redisStore(own, 10_000);
		let probes = 0;
		try {
			await eventually(async () =>
				expect(await store.readOrLease([`probe ${probes++}`])).not.toEqual(["busy"]),
			);
			const later = Date.now() + 60_000;
			const take = async (text: string) => {
				await raw.set("held", text);
				return (await store.readOrLease(["held"]))[0];
			};
			expect(await take("hdead=1")).toEqual({ lease: expect.any(String) });
			expect(await take(`hdead=1 alive=${later}`)).toBe("busy");
			await store.release(["held"], "alive");
			expect(await store.readOrLease(["held"])).toEqual([{ lease: expect.any(String) }]);
			expect(await take("h0190aaaa-bbbb")).toBe("busy");
			await store.hold(["held"], "new");
			await store.release(["held"], "new");
			expect(await store.readOrLease(["held"])).toEqual(["busy"]);
		} finally {
			for (const client of [raw, own]) client.disconnect();
			await redis.stop();
			await rm(folder, { recursive: true, force: true });
		}
	});
});
