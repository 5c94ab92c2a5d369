import { describe, expect, test } from "@jest/globals";
import { withTimeout } from "./with-timeout.ts";

const HOUR = 3_600_000;
const never = new Promise<string>(() => undefined);

describe("withTimeout", () => {
	test("settles like the promise", async () => {
		const error = new Error("failed");
		expect(await withTimeout(Promise.resolve("value"), HOUR)).toBe("value");
		await expect(withTimeout(Promise.reject(error), HOUR)).rejects.toBe(error);
	});

	test("resolves to undefined after the timeout", async () => {
		expect(await withTimeout(never, 1)).toBeUndefined();
	});

	test("ignores a failure after the timeout", async () => {
		const { promise, reject } = Promise.withResolvers<string>();
		expect(await withTimeout(promise, 1)).toBeUndefined();
		reject(new Error("too late"));
		await new Promise(setImmediate);
	});

	test("returns a result that arrived while the event loop was busy", async () => {
		const result = withTimeout(new Promise((resolve) => setImmediate(resolve, "value")), 5);
		const busyUntil = Date.now() + 30;
		while (Date.now() < busyUntil);
		expect(await result).toBe("value");
	});
});
