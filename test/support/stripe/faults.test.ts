import { describe, expect, test } from "@jest/globals";
import { faultPlans } from "./faults.ts";

const CREATE = "POST /v1/payment_intents";
const CAPTURE = "POST /v1/payment_intents/:id/capture";
const half = { requests: { timeoutAfter: 0.25, serverErrorBefore: 0.25 } };
const plans = (seed: number, route: string) => {
	const faults = faultPlans(seed, half);
	return Array.from({ length: 50 }, () => {
		return faults.forRequest(route).fault;
	});
};

describe("faultPlans", () => {
	test("selects no fault by default", () => {
		const faults = faultPlans(1);
		expect(faults.forRequest(CREATE)).toEqual({ fault: undefined, latencyMs: 0 });
		expect(faults.forDelivery("payment_intent.succeeded")).toEqual({
			fault: undefined,
			delayMs: 0,
		});
	});

	test("repeats the faults of a seed", () => {
		expect(plans(7, CREATE)).toEqual(plans(7, CREATE));
		expect(plans(7, CREATE)).not.toEqual(plans(8, CREATE));
		expect(plans(7, CREATE)).not.toEqual(plans(7, CAPTURE));
	});

	test("selects the faults of a route independently of requests to other routes", () => {
		const faults = faultPlans(7, half);
		const interleaved = Array.from({ length: 50 }, () => {
			faults.forRequest(CAPTURE);
			return faults.forRequest(CREATE).fault;
		});
		expect(interleaved).toEqual(plans(7, CREATE));
	});

	test("selects each fault with about its probability", () => {
		const faults = faultPlans(3, half);
		const selected = Array.from({ length: 4000 }, () => faults.forRequest(CREATE).fault);
		const share = selected.filter((fault) => fault === "timeoutAfter").length / 4000;
		expect(share).toBeGreaterThan(0.2);
		expect(share).toBeLessThan(0.3);
	});

	test("a planned fault applies to the next requests of its route only", () => {
		const faults = faultPlans(1);
		faults.plan({ fault: "resetAfter", route: CAPTURE, times: 2 });
		expect(faults.forRequest(CREATE).fault).toBeUndefined();
		expect([1, 2, 3].map(() => faults.forRequest(CAPTURE).fault)).toEqual([
			"resetAfter",
			"resetAfter",
			undefined,
		]);
	});

	test.each([
		[{ requests: { timeout: 1 } }, "Unknown request fault: timeout"],
		[{ requests: { rateLimit: -1 } }, "at least 0"],
		[{ webhooks: { drop: 0.6, delay: 0.6 } }, "sum up to 1"],
	])("rejects %j", (faults, message) => {
		expect(() => faultPlans(1, faults as object)).toThrow(message);
	});
});
