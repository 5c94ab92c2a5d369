import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { openHealthListener } from "../lib/health/health-listener.ts";
import { flushLog, Log } from "../lib/observability/logging/log.ts";
import type { Program } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import type { Env } from "../lib/settings/env.ts";
import { createNode, loadService } from "../lib/settings/node.ts";
import { assertPortFree } from "../lib/settings/port.ts";
import { brokerOptions, openTraces } from "../moleculer.config.ts";

/** Time for NATS to respond, and for the services and their dependencies to start. */
const START_MS = 60_000;
/** Time to close after draining, in addition to DRAIN_MS. */
const CLOSE_MS = 500;
/** Time to export the last traces. */
const FLUSH_MS = 2000;

/** Loads the schemas of the services. */
export const loadServices = (root: string, services: readonly string[]): Promise<ServiceSchema[]> =>
	Promise.all(services.map((name) => loadService(join(root, "services"), name)));

/** Opens the log of a process, whose last lines are written when the program ends. */
export function openLog(program: Program, env: Env): Log {
	// Registered first, so that it runs last: all other steps may still write log lines.
	program.onEnd(CLOSE_MS, flushLog);
	return new Log(env);
}

/** Starts a broker with these services. It drains and stops when the program ends. */
export async function startBroker(
	program: Program,
	env: Env,
	schemas: readonly ServiceSchema[],
	log = openLog(program, env),
): Promise<ServiceBroker> {
	const services = schemas.map(({ name }) => name);
	assertComplete(env, services, schemas);
	if (services.includes("api") && env.PORT > 0)
		await program.step(assertPortFree(env.HOST, env.PORT));
	const traces = await program.step(openTraces(env));
	if (traces) program.onEnd(FLUSH_MS, () => traces.close());
	const broker = createNode(brokerOptions(env, traces, log), env, schemas);
	program.reportUnexpectedTo(broker.logger);
	// Opened first and closed last, so that probes also observe the start and the draining.
	if (env.HEALTH_PORT > 0) {
		const close = await program.step(openHealthListener(broker, env.HOST, env.HEALTH_PORT));
		program.onEnd(CLOSE_MS, close);
	}
	const stop = broker.stop.bind(broker);
	program.onEnd(env.DRAIN_MS + CLOSE_MS, () => stop());
	await program.step(broker.start(), {
		ms: START_MS,
		late:
			`the services did not start within ${START_MS / 1000} s: ` +
			"LOGLEVEL=debug shows the missing dependencies",
	});
	return broker;
}

/**
 * Checks that all dependencies can start. Without a TRANSPORTER they must run in this process.
 * @throws StartError naming the missing services
 */
function assertComplete(
	{ TRANSPORTER }: Env,
	services: readonly string[],
	schemas: readonly ServiceSchema[],
): void {
	const needed = new Set(schemas.flatMap(({ dependencies }) => (dependencies ?? []) as string[]));
	const missing = [...needed].filter((name) => !services.includes(name));
	if (missing.length > 0 && !TRANSPORTER)
		throw new StartError(
			`SERVICES needs ${missing.join(", ")} as well, or a TRANSPORTER to reach them on other nodes`,
		);
}

/** URL of the gateway in this process, as this machine reaches it; undefined without a gateway. */
export function addressOf(broker: ServiceBroker, { HOST }: Env): string | undefined {
	const gateway = broker.getLocalService("api") as unknown as { server: Server } | undefined;
	if (!gateway) return undefined;
	const host = { "0.0.0.0": "127.0.0.1", "::": "localhost" }[HOST] ?? HOST;
	const { port } = gateway.server.address() as AddressInfo;
	return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
