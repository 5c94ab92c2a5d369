import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import {
	allBreakers,
	breakerState,
	openBreakers,
	removeStaleBreaker,
	resetFailures,
} from "./circuit-breakers.ts";

/** Fails when an upgrade of Moleculer changes the private store of its circuit breaker. */
describe("circuit breakers in Moleculer's private store", () => {
	let broker: ServiceBroker;
	let broken: boolean;
	const breaker = { action: "things.run", node: "here" };
	const endpoint = { name: "here:things.run" };
	const run = () => broker.call("things.run").catch(() => undefined);
	beforeEach(async () => {
		broken = true;
		broker = new ServiceBroker({
			nodeID: "here",
			logger: false,
			circuitBreaker: {
				enabled: true,
				threshold: 1,
				minRequestCount: 2,
				halfOpenTime: 20,
				check: () => true,
			},
		});
		broker.createService({
			name: "things",
			actions: {
				run() {
					if (broken) throw new Error("broken");
				},
			},
		});
		await broker.start();
	});
	afterEach(() => broker.stop());

	test("are listed with state and failures", async () => {
		expect(allBreakers(broker)).toEqual([]);
		expect(breakerState(broker, endpoint)).toBe("closed");
		await run();
		expect(allBreakers(broker)).toEqual([{ ...breaker, state: "closed", failures: 1 }]);
		expect(openBreakers(broker)).toEqual([]);
		await run();
		expect(openBreakers(broker)).toEqual([{ ...breaker, state: "open", failures: 2 }]);
		expect(breakerState(broker, endpoint)).toBe("open");
	});

	test("are half-open after the pause and closed after a successful trial call", async () => {
		const halfOpened = new Promise((resolve) =>
			broker.localBus.once("$circuit-breaker.half-opened", resolve),
		);
		await run();
		await run();
		await halfOpened;
		expect(breakerState(broker, endpoint)).toBe("half-open");
		broken = false;
		await broker.call("things.run");
		expect(breakerState(broker, endpoint)).toBe("closed");
	});

	test("stay closed if failures are reset in between", async () => {
		await run();
		resetFailures(broker, endpoint);
		await run();
		expect(allBreakers(broker)).toEqual([{ ...breaker, state: "closed", failures: 1 }]);
	});

	test("are removed with their endpoint", async () => {
		await run();
		const current = broker.registry.actions.get("things.run")!.next(undefined as never);
		removeStaleBreaker(broker, current as never);
		expect(allBreakers(broker)).toHaveLength(1);
		removeStaleBreaker(broker, endpoint);
		expect(allBreakers(broker)).toEqual([]);
	});
});
