import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { openHealthListener } from "../lib/health/health-listener.ts";
import { flushLog } from "../lib/observability/logging/log.ts";
import type { Program } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import type { Env } from "../lib/settings/env.ts";
import { createNode, loadService } from "../lib/settings/node.ts";
import { assertPortFree } from "../lib/settings/port.ts";
import { brokerOptions, openTraces } from "../moleculer.config.ts";

const START_MS = 15_000;
/** Time for NATS, and for services on other nodes that ours depend on. */
const JOIN_MS = 60_000;
/** Beyond DRAIN_MS: closing what was drained. */
const CLOSE_MS = 500;
/** For the last traces to be sent. */
const FLUSH_MS = 2000;

/** Reads the services' code. */
export const loadServices = (root: string, services: readonly string[]): Promise<ServiceSchema[]> =>
	Promise.all(services.map((name) => loadService(join(root, "services"), name)));

/** Starts a broker with these services; it drains and stops when the program ends. */
export async function startBroker(
	program: Program,
	env: Env,
	schemas: readonly ServiceSchema[],
): Promise<ServiceBroker> {
	const services = schemas.map(({ name }) => name);
	assertComplete(env, services, schemas);
	if (services.includes("api") && env.PORT > 0)
		await program.step(assertPortFree(env.HOST, env.PORT));
	// What ends last: what the others do until then is to be seen, too.
	program.onEnd(CLOSE_MS, flushLog);
	const traces = await program.step(openTraces(env));
	if (traces) program.onEnd(FLUSH_MS, () => traces.close());
	const broker = createNode(brokerOptions(env, traces), env, schemas);
	program.reportFailuresTo((error) =>
		broker.logger.fatal("Unexpected failure; the process ends", { error }),
	);
	// Opened first and closed last, so that whoever watches this node also sees it start and drain.
	if (env.HEALTH_PORT > 0) {
		const close = await program.step(openHealthListener(broker, env.HOST, env.HEALTH_PORT));
		program.onEnd(CLOSE_MS, close);
	}
	const stop = broker.stop.bind(broker);
	program.onEnd(env.DRAIN_MS + CLOSE_MS, () => stop());
	const ms = env.TRANSPORTER ? JOIN_MS : START_MS;
	await program.step(broker.start(), {
		ms,
		late: `the services did not start within ${ms / 1000} s: LOGLEVEL=debug shows what they wait for`,
	});
	return broker;
}

/** A service waits for those that it depends on; alone in its process it would wait for ever. */
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

/** Where this machine reaches the gateway of this process, if it has one. */
export function addressOf(broker: ServiceBroker, { HOST }: Env): string | undefined {
	const gateway = broker.getLocalService("api") as unknown as { server: Server } | undefined;
	if (!gateway) return undefined;
	const host = { "0.0.0.0": "127.0.0.1", "::": "localhost" }[HOST] ?? HOST;
	const { port } = gateway.server.address() as AddressInfo;
	return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
