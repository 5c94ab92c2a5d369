import { expect, test } from "@jest/globals";
import { backoff } from "./backoff.ts";

test("a pause doubles with each failure up to its limit and ends with a success", () => {
	const pauses = backoff(400, 3000, () => 0);
	const lengths = [0, 0, 0, 0, 0].map(() => {
		pauses.failed(0);
		return Array.from({ length: 4000 }, (_, ms) => ms).find((ms) => !pauses.waits(ms));
	});
	expect(lengths).toEqual([400, 800, 1600, 3000, 3000]);
	pauses.succeeded();
	expect(pauses.waits(0)).toBe(false);
});

test("jitter shortens a pause by up to half", () => {
	const pauses = backoff(400, 3000, () => 1);
	pauses.failed(0);
	expect([pauses.waits(199), pauses.waits(200)]).toEqual([true, false]);
});
