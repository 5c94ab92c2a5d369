import { setTimeout as pause } from "node:timers/promises";
import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JsMsg, nanos } from "nats";
import { microBatch, reject } from "../async/micro-batch.ts";
import type { Event } from "../contracts/event.ts";
import { type UnpackedEvents, unpackEvents } from "./event-batches.ts";
import type { ConsumerHandle } from "./event-transport.ts";

/**
 * Events per handler batch. A node's consumer holds up to MAX_HELD more; messages in transit are
 * not included.
 */
const BATCH = 200;
const MAX_HELD = 2 * BATCH;
/**
 * Unacknowledged messages of all nodes of a group. Much more than one node holds: those of a dead
 * node must not block the others until they are redelivered.
 */
const MAX_UNACKNOWLEDGED = 20 * MAX_HELD;
/** Milliseconds before a retry. */
const RETRY_MS = 1000;

/** Consumer name of a group and pattern. */
export const consumerName = (group: string, pattern: string) =>
	`${group}-${pattern.replace("*", "all").replaceAll(".", "-")}`;

/** The durable pull consumer of a group and pattern, as NATS stores it. */
export const consumerConfig = (
	group: string,
	pattern: string,
	{ subject, ackWait }: { readonly subject: string; readonly ackWait: number },
) =>
	({
		durable_name: consumerName(group, pattern),
		filter_subject: subject,
		ack_policy: AckPolicy.Explicit,
		deliver_policy: DeliverPolicy.All,
		ack_wait: nanos(ackWait),
		max_ack_pending: MAX_UNACKNOWLEDGED,
	}) satisfies Partial<ConsumerConfig>;

interface Messages extends AsyncIterable<JsMsg> {
	close(): Promise<unknown>;
}
interface ConsumerOptions {
	/** Milliseconds until NATS redelivers a message whose deadline is not extended. */
	readonly ackWait: number;
	/** Opens the consumer; called again after a failure. */
	open(): Promise<Messages>;
	/** Processes events durably; rejected ones are redelivered. */
	accept(events: Event[]): Promise<void>;
	/** Stores an invalid message. */
	storeInvalid(text: string, error: unknown): Promise<void>;
	onError(error: unknown): void;
}

/** Consumes messages until it is stopped, across restarts and lost connections. */
export function startConsumer({
	ackWait,
	open,
	accept,
	storeInvalid,
	onError,
}: ConsumerOptions): ConsumerHandle {
	let stopping = false;
	const acceptBatch = microBatch<Event[], void>(
		async (messages) => {
			// Other nodes can process immediately what this node has not begun.
			if (stopping) return messages.map(() => reject(new Error("This node is stopping")));
			await accept(messages.flat());
			return messages.map(() => undefined);
		},
		{ maxSize: BATCH, sizeOf: ({ length }) => length },
	);
	async function process({ events, invalid }: UnpackedEvents): Promise<void> {
		if (events.length > 0) await acceptBatch(events);
		for (const { text, error } of invalid) await storeInvalid(text, error);
	}
	const timing = {
		extendEvery: ackWait / 3,
		returnAfter: () => (stopping ? 0 : RETRY_MS),
	};
	let close: () => Promise<unknown> = async () => undefined;

	async function consume(): Promise<void> {
		const messages = await open();
		close = () => messages.close();
		// Not awaited: only the iteration below completes it.
		if (stopping) void close();
		const held = new Set<Promise<void>>();
		let count = 0;
		for await (const message of messages) {
			const found = unpackEvents(message.string());
			const size = Math.max(1, found.events.length);
			const work = settle(message, process(found), timing).finally(() => {
				held.delete(work);
				count -= size;
			});
			held.add(work);
			count += size;
			while (count >= MAX_HELD) await Promise.race(held);
		}
		await Promise.all(held);
	}
	async function run(): Promise<void> {
		while (!stopping) {
			await consume().catch((error) => {
				if (!stopping) onError(error);
			});
			if (!stopping) await pause(RETRY_MS);
		}
	}
	const running = run();
	return {
		/** Finishes the current batches and returns the other messages. */
		async stop() {
			stopping = true;
			await close();
			await running;
		},
	};
}

/**
 * Acknowledges a message when it is processed, extends its deadline meanwhile, and returns it for
 * redelivery on failure.
 */
async function settle(
	message: JsMsg,
	processed: Promise<void>,
	{ extendEvery, returnAfter }: { extendEvery: number; returnAfter(): number },
): Promise<void> {
	const heartbeat = setInterval(() => message.working(), extendEvery);
	try {
		await processed;
		message.ack();
	} catch {
		message.nak(returnAfter());
	} finally {
		clearInterval(heartbeat);
	}
}
