import { describe, expect, test } from "@jest/globals";
import { NetworkError, ProblemError } from "./problems.ts";
import { backoff, pauseAfter, retryAfter } from "./retries.ts";

const problem = (status: number, code: string, after?: string) =>
	new ProblemError(status, { code }, new Headers(after ? { "retry-after": after } : {}), 1);
const repeatable = { repeatable: true };

describe("the pause after a failure", () => {
	test("doubles up to 10 s, and jitter shortens it by at most half", () => {
		for (const [failures, longest] of [
			[1, 250],
			[2, 500],
			[6, 8000],
			[7, 10_000],
			[1000, 10_000],
		] as const)
			for (let n = 0; n < 50; n++) {
				expect(backoff(failures)).toBeGreaterThanOrEqual(longest / 2);
				expect(backoff(failures)).toBeLessThanOrEqual(longest);
			}
	});

	test("is at least that of Retry-After, up to 30 s", () => {
		const pause = pauseAfter(problem(503, "SERVICE_UNAVAILABLE", "5"), 1, repeatable);
		expect(pause).toBeGreaterThan(5000);
		expect(pauseAfter(problem(503, "SERVICE_UNAVAILABLE", "31"), 1, repeatable)).toBeUndefined();
	});

	test.each([
		[429, "RATE_LIMITED", true],
		[502, "UNKNOWN", true],
		[503, "SERVICE_UNAVAILABLE", true],
		[504, "UNKNOWN", true],
		[500, "INTERNAL_ERROR", false],
		[409, "OUT_OF_STOCK", false],
		[401, "UNAUTHENTICATED", false],
	])("exists after %d %s: %s", (status, code, exists) => {
		expect(pauseAfter(problem(status, code), 1, repeatable) !== undefined).toBe(exists);
	});

	test("exists for a request with further effects only after 429", () => {
		const once = { repeatable: false };
		expect(pauseAfter(problem(429, "RATE_LIMITED"), 1, once)).toBeDefined();
		expect(pauseAfter(problem(503, "SERVICE_UNAVAILABLE"), 1, once)).toBeUndefined();
		expect(pauseAfter(new NetworkError("lost", 1), 1, once)).toBeUndefined();
		expect(pauseAfter(new NetworkError("lost", 1), 1, repeatable)).toBeDefined();
	});
});

test.each([
	["0", 0],
	["7", 7000],
	["Wed, 21 Oct 2026 07:28:03 GMT", 3000],
	["Wed, 21 Oct 2026 07:27:00 GMT", 0],
	["soon", undefined],
	["", undefined],
])("Retry-After: %s is a pause of %s ms", (value, ms) => {
	const now = Date.parse("2026-10-21T07:28:00Z");
	expect(retryAfter(new Headers(value ? { "retry-after": value } : {}), now)).toBe(ms);
});
