import { createServer } from "node:net";
import { errorCode } from "../process/folder-access.ts";
import { StartError } from "../process/start-error.ts";
import type { Env } from "./env.ts";

/**
 * Checks that the gateway and the health listener use different ports.
 *
 * @param api whether this process runs the gateway
 * @throws StartError if both use the same port
 */
export function assertDistinctPorts(
	{ PORT, HEALTH_PORT }: Pick<Env, "PORT" | "HEALTH_PORT">,
	api: boolean,
): void {
	if (!api || PORT === 0 || PORT !== HEALTH_PORT) return;
	throw new StartError(`PORT and HEALTH_PORT are both ${PORT}: set HEALTH_PORT to another port`);
}

/** Checks that the gateway can listen on the address. @throws StartError if it cannot */
export async function assertPortFree(host: string, port: number): Promise<void> {
	const server = createServer();
	try {
		await new Promise<void>((resolve, reject) =>
			server.once("error", reject).listen(port, host, resolve),
		);
	} catch (error) {
		const reasons: Record<string, string> = {
			EADDRINUSE:
				`port ${port} on ${host} is taken by another program: ` +
				"stop that program, or set PORT to another port",
			EACCES: `port ${port} requires root permissions: set PORT to a port above 1023`,
		};
		throw new StartError(
			reasons[errorCode(error)] ??
				`cannot listen on HOST ${host} (${(error as Error).message}): ` +
					"set it to an address of this machine",
		);
	}
	await new Promise((resolve) => server.close(resolve));
}
