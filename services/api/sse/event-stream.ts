import { type Backoff, backoff } from "../../../lib/async/backoff.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import type { Request, Response } from "../http/exchange.ts";

/** Milliseconds between two heartbeats. Proxies close a connection that is silent for a minute. */
export const HEARTBEAT_MS = 15_000;
/** Milliseconds that a client waits before it reconnects. */
const RECONNECT_MS = 1000;
/** Bytes that a client may leave unread. */
const MAX_UNREAD = 65_536;
/** Milliseconds before a stream is read again after its first failure, and at most. */
const RETRY_MS = { first: 800, longest: 15_000 };

/**
 * One client's event stream: its slot among the open streams, its position and its response.
 *
 * The slot is occupied before the first event is loaded and released exactly once: when the stream
 * ends, when its connection closes, or when it is never started. A response that has ended is not
 * necessarily closed, because a pipelined response may wait for an earlier one. So the slot is
 * released when the stream ends, and nothing is written after that.
 */
export class EventStream {
	/** ID of the user; of the order for guests, because many of them may share an address. */
	readonly client: string;
	readonly req: Request;
	readonly retries: Backoff = backoff(RETRY_MS.first, RETRY_MS.longest);
	/** Version of the subject that this stream has delivered; undefined before the first poll. */
	version: string | null | undefined;
	/** A second read from the same position would deliver the same events twice. */
	reading = false;
	readonly #res: Response;
	readonly #onClose: (stream: EventStream) => void;
	#after: string | undefined;
	#heartbeatAt = Date.now();
	#started = false;
	#over = false;

	/** @param onClose is called once, when the stream releases its slot */
	constructor(req: Request, res: Response, onClose: (stream: EventStream) => void) {
		this.req = req;
		this.client = req.$ctx.meta.user?.id ?? this.subject;
		this.#res = res;
		this.#onClose = onClose;
		// Attached before the first await: a client may leave while the first events are loaded.
		res.once("close", () => this.close());
		if (res.destroyed || req.socket.destroyed) this.close();
	}

	/** moleculer-web merges the parameters of the path when it calls the action. */
	get subject(): string {
		const { id, params } = this.req.$params as { id?: string; params?: { id: string } };
		return (id ?? params!.id).toLowerCase();
	}
	/** ID of the last event that was delivered. */
	get position(): string | undefined {
		return this.#after;
	}
	get started(): boolean {
		return this.#started && !this.#over;
	}
	get over(): boolean {
		return this.#over;
	}

	/** Sends the first events. The head of the response must have been written. */
	start(first: EventStreamPage): void {
		this.#after = (this.req.$params as { after?: string }).after;
		this.#started = true;
		this.#write(`retry: ${RECONNECT_MS}\n\n`);
		this.deliver(first);
	}

	deliver({ events, ended }: EventStreamPage): void {
		for (const { id, type, data } of events) {
			this.#write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
			this.#after = id;
		}
		if (ended) this.end();
	}

	/** Sends a heartbeat if one is due. Closes the connection of a client that does not read. */
	keepAlive(): void {
		if (this.#over) return;
		if (this.#res.writableLength > MAX_UNREAD) {
			this.close();
			// The response of a pipelined request may not have got its socket yet.
			this.req.socket.destroy();
		} else if (Date.now() - this.#heartbeatAt >= HEARTBEAT_MS) this.#write(":\n\n");
	}

	/** @param reason is sent as a comment */
	end(reason?: string): void {
		if (this.#over) return;
		this.close();
		if (this.#isWritable()) this.#res.end(reason && `: ${reason}\n\n`);
	}

	/** Releases the slot; nothing is written afterwards. */
	close(): void {
		if (this.#over) return;
		this.#over = true;
		this.#onClose(this);
	}

	#write(text: string): void {
		if (this.#over || !this.#isWritable()) return;
		this.#res.write(text);
		this.#heartbeatAt = Date.now();
	}
	#isWritable(): boolean {
		return !this.#res.writableEnded && !this.#res.destroyed;
	}
}
