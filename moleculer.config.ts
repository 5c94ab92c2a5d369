import { hostname } from "node:os";
import type { BrokerOptions } from "moleculer";
import { type Env, readEnv } from "./lib/env.ts";
import { validatorOptions } from "./lib/schema.ts";
import { authorize } from "./middlewares/authorize.ts";

/** What of moleculer differs from its defaults, each with its reason. */
export function brokerOptions(env: Env): BrokerOptions {
	return {
		namespace: env.NAMESPACE,
		// New at each start: a breaker that opened against a node stays with that node's id.
		nodeID: `${env.NODEID ?? hostname()}-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`,
		logger: { type: "Console", options: { level: env.LOGLEVEL ?? "info", formatter: "short" } },
		validator: { type: "Fastest", options: validatorOptions } as BrokerOptions["validator"],
		middlewares: [authorize],
		// Without one a call to a service that hangs would hang for ever.
		requestTimeout: 10_000,
		tracking: { enabled: true, shutdownTimeout: env.DRAIN_MS },
		transporter: (env.TRANSPORTER ?? null) as BrokerOptions["transporter"],
		// Registered by ourselves, so that it runs after the services have drained.
		skipProcessEventRegistration: true,
	};
}

export default () => brokerOptions(readEnv());
