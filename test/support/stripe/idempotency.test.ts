import { describe, expect, test } from "@jest/globals";
import { idempotencyKeys, type StoredResponse } from "./idempotency.ts";

const RESPONSE: StoredResponse = {
	status: 500,
	body: {},
	requestId: "req_1",
	shouldRetry: false,
};
const conflict = (status: number) =>
	expect.objectContaining({
		status,
		stored: false,
		body: expect.objectContaining({ type: "idempotency_error" }),
	});

describe("idempotencyKeys", () => {
	test("replays a stored response, including a 500", () => {
		const keys = idempotencyKeys(() => 0);
		const first = keys.begin("k", "/v1/refunds", "{}");
		if (first.kind === "execute") first.store(RESPONSE);
		expect(keys.begin("k", "/v1/refunds", "{}")).toEqual({ kind: "replay", response: RESPONSE });
	});

	test("rejects a key with other parameters, for another path, or in flight", () => {
		const keys = idempotencyKeys(() => 0);
		keys.begin("k", "/v1/refunds", "{}");
		expect(() => keys.begin("k", "/v1/refunds", "{}")).toThrow(conflict(409));
		expect(() => keys.begin("k", "/v1/refunds", '{"amount":"1"}')).toThrow(conflict(400));
		expect(() => keys.begin("k", "/v1/payment_intents", "{}")).toThrow(conflict(400));
	});

	test("forgets a key whose response is not stored", () => {
		const keys = idempotencyKeys(() => 0);
		const first = keys.begin("k", "/v1/refunds", "{}");
		if (first.kind === "execute") first.forget();
		expect(keys.begin("k", "/v1/refunds", '{"amount":"1"}').kind).toBe("execute");
	});

	test("forgets a key after 24 hours", () => {
		let now = 0;
		const keys = idempotencyKeys(() => now);
		const first = keys.begin("k", "/v1/refunds", "{}");
		if (first.kind === "execute") first.store(RESPONSE);
		now = 24 * 3_600_000 - 1;
		expect(keys.begin("k", "/v1/refunds", "{}").kind).toBe("replay");
		now += 1;
		expect(keys.begin("k", "/v1/refunds", "{}").kind).toBe("execute");
	});

	test("rejects a key of more than 255 characters", () => {
		const keys = idempotencyKeys(() => 0);
		expect(keys.begin("k".repeat(255), "/v1/refunds", "{}").kind).toBe("execute");
		expect(() => keys.begin("k".repeat(256), "/v1/refunds", "{}")).toThrow("at most 255");
	});
});
