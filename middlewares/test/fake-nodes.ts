import { afterEach } from "@jest/globals";
import type { BrokerOptions, ServiceBroker, ServiceSchema } from "moleculer";
import type { Tracing } from "../../lib/observability/tracing/tracing.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";

interface NodeOptions {
	readonly traces?: Tracing;
	/** Milliseconds until an open circuit breaker allows a trial call. */
	readonly halfOpenTime?: number;
	readonly transit?: BrokerOptions["transit"];
}

/**
 * Registers a hook that stops the nodes of each test. Nodes run in this process; messages between
 * them are serialized as JSON.
 */
export function fakeNodes() {
	const brokers: ServiceBroker[] = [];
	afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.stop())));
	return {
		/** Running nodes of the current test. */
		brokers,
		async start(
			schemas: readonly ServiceSchema[] = [],
			{ traces, halfOpenTime, transit }: NodeOptions = {},
		): Promise<ServiceBroker> {
			const env = readEnv({ LOGLEVEL: "fatal", NODE_ENV: "test", DRAIN_MS: "1" });
			const { circuitBreaker, ...options } = brokerOptions(env, traces);
			const overrides: BrokerOptions = {
				transporter: "Fake",
				circuitBreaker: { ...circuitBreaker!, ...(halfOpenTime ? { halfOpenTime } : {}) },
				...(transit ? { transit } : {}),
			};
			const broker = createNode({ ...options, ...overrides }, env, [...schemas]);
			brokers.push(broker);
			await broker.start();
			return broker;
		},
	};
}
