import { Errors, type Middleware, type ServiceBroker } from "moleculer";
import { runOutsideCalls } from "../lib/context/call-context.ts";
import { messageTooLarge } from "../lib/resilience/message-size.ts";
import { maxPayload, type Transporter } from "../lib/resilience/transit-client.ts";

type Send = (topic: string, data: Buffer, meta: { readonly packet?: Packet }) => Promise<unknown>;
interface Packet {
	readonly type: string;
	payload: Payload;
}
interface Payload {
	readonly id?: string;
	/** Whether more chunks of a streamed result follow. */
	readonly stream?: boolean;
}
interface Sender extends Transporter {
	readonly broker?: ServiceBroker;
	serialize?(packet: Packet): Buffer;
}

/**
 * Sends all messages of one turn of the event loop in one write. The NATS client writes after each
 * callback, so each request would cost a system call here, one at the server and one at the
 * receiving node.
 *
 * A message that cannot be sent rejects its own call. A result that is too large for the server is
 * replaced by a small error, so that the caller can request less instead of waiting for a timeout.
 *
 * Private API of Moleculer, used only here: the packet of `transporterSend`, the transporter's
 * `serialize`, and the broker's `errorRegenerator`. divide-large-calls.test.ts tests them on NATS.
 */
export const coalesceWrites = {
	name: "OneWrite",
	transporterSend(this: Sender | undefined, next: Send): Send {
		let pending: (() => void)[] = [];
		const write = () => {
			const ready = pending;
			pending = [];
			for (const send of ready) send();
		};
		return (topic, data, meta) => {
			const max = maxPayload(this);
			const fits = data.length <= max;
			const message = fits ? data : smallReply(this!, data.length, max, meta.packet);
			if (!message) return Promise.reject(messageTooLarge("request", data.length, max));
			return new Promise((resolve, reject) => {
				const first = pending.length === 0;
				const send = async () => next(topic, message, meta);
				// The NATS client throws instead of rejecting; an async function makes that a rejection.
				pending.push(() => void send().then(resolve, (error) => reject(unsent(error))));
				if (first) runOutsideCalls(() => setImmediate(write));
			});
		};
	},
} as unknown as Middleware;

/** An error reply in place of a result that is too large; undefined for all other messages. */
function smallReply(
	sender: Sender,
	bytes: number,
	max: number,
	packet?: Packet,
): Buffer | undefined {
	const { broker } = sender;
	if (packet?.type !== "RES" || !broker || !sender.serialize) return undefined;
	const { id, stream } = packet.payload;
	const error = messageTooLarge("result", bytes, max);
	broker
		.getLogger("transit")
		.warn("A result is too large to be sent; the caller gets an error", { bytes, max });
	packet.payload = {
		id,
		meta: {},
		success: false,
		data: null,
		error: broker.errorRegenerator?.extractPlainError(error, {} as never),
		...(stream === undefined ? {} : { stream: false }),
	} as Payload;
	return sender.serialize(packet);
}

/** For the caller, a closed or draining connection is the same outage as a lost one. */
const unsent = (cause: unknown): Error =>
	Object.assign(
		new Errors.MoleculerRetryableError("The message could not be sent", 502, "BAD_GATEWAY"),
		{ cause },
	);
