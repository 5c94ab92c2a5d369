import { expect, test } from "@jest/globals";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import { eventually } from "../../test/support/eventually.ts";
import { runInCall } from "../context/call-context.ts";
import { lru } from "./lru.ts";

/** Stores an entry in a call, as the request that misses does, and returns the call. */
function storeInCall(cache: ReturnType<typeof lru<string>>): WeakRef<object> {
	const call = { requestID: "1", meta: {} };
	runInCall(call, () => cache.set("key", "value", { ttl: 60_000 }));
	return new WeakRef(call);
}

test("an entry does not keep the call that stored it", async () => {
	const cache = lru<string>({ maxBytes: 1000, sizeOf: (value) => value.length });
	const call = storeInCall(cache);
	await eventually(() => {
		collectGarbage();
		expect(call.deref()).toBeUndefined();
	});
	expect(cache.get("key")).toBe("value");
	cache.clear();
});
