import { Errors } from "moleculer";
import { maxPayload, type Transporter, transporterOf } from "./transit-client.ts";

/** Error type of a call whose request or result exceeds the size of one NATS message. */
const MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE";
/**
 * Maximum size of an event, in bytes of its JSON data. An event cannot be divided, so a transaction
 * that writes a larger one fails. All accepted servers support events of this size.
 */
const MAX_EVENT_BYTES = 64 * 1024;
/** Bytes reserved for headers and for the envelope of a call or an event. */
const ENVELOPE_BYTES = 4096;
/**
 * Minimum `max_payload` of a NATS server, in bytes. Nodes announce all their actions in one message
 * that cannot be divided; that of a node with all services has about 330 kB.
 */
export const LEAST_MAX_PAYLOAD = 512 * 1024;
/** Maximum size of a batch, even if the server accepts more: a large message delays the others. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** Maximum size of a message to other nodes, in bytes. */
export const maxPayloadOf = (broker: object): number => maxPayload(transporterOf(broker));

/** Maximum size of a micro-batch that is sent as one message, in bytes. */
export const batchBytesOf = (broker: object): number =>
	Math.min(maxPayloadOf(broker) - ENVELOPE_BYTES, MAX_BATCH_BYTES);

/** Maximum size of a message of events in bytes; far below the limit of all accepted servers. */
const MAX_EVENT_BATCH_BYTES = 128 * 1024;
/** Maximum size of a message of events, in bytes. The limit of the server includes headers. */
export const eventBatchBytes = (client: Transporter["client"]): number =>
	Math.min(MAX_EVENT_BATCH_BYTES, maxPayload({ client }) - ENVELOPE_BYTES);

/**
 * Error of a message that is too large. It is not an outage: a part of the message may be accepted.
 */
export const messageTooLarge = (kind: string, bytes: number, max: number): Error =>
	new Errors.MoleculerError(
		`The ${kind} has ${bytes} bytes, but the NATS server accepts ${max} (max_payload)`,
		500,
		MESSAGE_TOO_LARGE,
		{
			bytes,
			max,
		},
	);
/** Whether a call failed because its request or result is too large, on any node. */
export const isMessageTooLarge = (error: unknown): boolean =>
	(error as { type?: unknown } | null)?.type === MESSAGE_TOO_LARGE;

/**
 * Rejects events that the relay could never publish, before they enter the outbox.
 *
 * @throws EVENT_TOO_LARGE
 */
export function assertSendable(type: string, bytes: number): void {
	if (bytes <= MAX_EVENT_BYTES) return;
	const message = `The event ${type} has ${bytes} bytes; at most ${MAX_EVENT_BYTES} are allowed`;
	throw new Errors.MoleculerError(message, 500, "EVENT_TOO_LARGE", { bytes, max: MAX_EVENT_BYTES });
}
