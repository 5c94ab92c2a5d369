import { StartError } from "../process/start-error.ts";
import { LEAST_MAX_PAYLOAD } from "../resilience/message-size.ts";
import { maxPayload, type NatsClient } from "../resilience/transit-client.ts";

/**
 * Checks that the server accepts all messages that cannot be divided.
 *
 * @throws StartError and closes the connection if `max_payload` is too small
 */
export async function assertMaxPayload(client: Pick<NatsClient, "info" | "close">): Promise<void> {
	const max = maxPayload({ client });
	if (max >= LEAST_MAX_PAYLOAD) return;
	await client.close();
	throw new StartError(
		`NATS takes messages of ${max} bytes: set its max_payload to ${LEAST_MAX_PAYLOAD} or more`,
	);
}
