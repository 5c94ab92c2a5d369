import { createServer } from "node:net";
import { errorCode } from "../process/folder-access.ts";
import { StartError } from "../process/start-error.ts";
import type { Env } from "./env.ts";

/** @throws StartError if the gateway and the health checks share a port. `api`: whether this process runs the gateway */
export function assertDistinctPorts(
	{ PORT, HEALTH_PORT }: Pick<Env, "PORT" | "HEALTH_PORT">,
	api: boolean,
): void {
	if (!api || PORT === 0 || PORT !== HEALTH_PORT) return;
	throw new StartError(`PORT and HEALTH_PORT are both ${PORT}: set HEALTH_PORT to another port`);
}

/** @throws StartError if nobody can listen there */
export async function assertPortFree(host: string, port: number): Promise<void> {
	const server = createServer();
	try {
		await new Promise<void>((resolve, reject) =>
			server.once("error", reject).listen(port, host, resolve),
		);
	} catch (error) {
		const why: Record<string, string> = {
			EADDRINUSE: `port ${port} on ${host} is taken by another program: stop that one, or set PORT to another port`,
			EACCES: `port ${port} is not open to this user: set PORT to one above 1023`,
		};
		throw new StartError(
			why[errorCode(error)] ??
				`HOST ${host} cannot be listened on (${(error as Error).message}): set it to an address of this machine`,
		);
	}
	await new Promise((resolve) => server.close(resolve));
}
