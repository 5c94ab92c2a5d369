import { Errors } from "moleculer";
import { type Transporter, transporterOf } from "./transit-client.ts";

/** The type of the error of a call whose request or result is larger than one NATS message. */
const MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE";
/**
 * The largest event, in bytes of its JSON data. An event cannot be divided, so a transaction that
 * writes a larger one fails. Every server that we accept takes an event of this size.
 */
const MAX_EVENT_BYTES = 64 * 1024;
/** Bytes of a message beside its content: headers, and the envelope of a call or an event. */
const ENVELOPE_BYTES = 4096;
/**
 * The smallest `max_payload` that a NATS server may have. Nodes announce all their actions in one
 * message that cannot be divided; that of a node with every service has about 120 kB.
 */
export const LEAST_MAX_PAYLOAD = 256 * 1024;
/** Batches stay below this size on servers that take more: a large message delays the others. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** The largest message in bytes that the connected server takes; no limit without a server. */
export const maxPayload = (transporter: Transporter | undefined): number =>
	transporter?.client?.info?.max_payload ?? Number.MAX_SAFE_INTEGER;

/** The largest message that this node can send to other nodes, in bytes. */
export const maxPayloadOf = (broker: object): number => maxPayload(transporterOf(broker));

/** The size of a micro-batch whose elements travel in one message, in bytes. */
export const batchBytesOf = (broker: object): number =>
	Math.min(maxPayloadOf(broker) - ENVELOPE_BYTES, MAX_BATCH_BYTES);

/** As many events as a handler takes at once, and well below what every accepted server takes. */
const MAX_EVENT_BATCH_BYTES = 128 * 1024;
/** The size of a message of events, in bytes. The limit of the server includes headers. */
export const eventBatchBytes = (client: Transporter["client"]): number =>
	Math.min(MAX_EVENT_BATCH_BYTES, maxPayload({ client }) - ENVELOPE_BYTES);

/** Not an outage: the same message fails again, and a part of it may pass. */
export const messageTooLarge = (kind: string, bytes: number, max: number): Error =>
	new Errors.MoleculerError(
		`The ${kind} has ${bytes} bytes, and the NATS server takes ${max} (max_payload)`,
		500,
		MESSAGE_TOO_LARGE,
		{
			bytes,
			max,
		},
	);
/** Whether a call failed because its request or its result is too large, on whichever node. */
export const isMessageTooLarge = (error: unknown): boolean =>
	(error as { type?: unknown } | null)?.type === MESSAGE_TOO_LARGE;

/** @throws EVENT_TOO_LARGE, so that no event enters the outbox that the relay could never publish */
export function assertSendable(type: string, bytes: number): void {
	if (bytes <= MAX_EVENT_BYTES) return;
	const message = `The event ${type} has ${bytes} bytes; at most ${MAX_EVENT_BYTES} are allowed`;
	throw new Errors.MoleculerError(message, 500, "EVENT_TOO_LARGE", { bytes, max: MAX_EVENT_BYTES });
}
