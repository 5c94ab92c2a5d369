import type { Context } from "moleculer";
import { type Backoff, backoff } from "../../../lib/async/backoff.ts";
import { type Poller, startPoller } from "../../../lib/async/poller.ts";
import { lookUpDistinct } from "../../../lib/caching/distinct-lookup.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import { type Gateway, type Request, type Response, writeHead } from "../http/exchange.ts";
import { toProblem } from "../http/problem-details.ts";
import { EventStream, HEARTBEAT_MS } from "./event-stream.ts";

/** Milliseconds between two polls, and at most after failures in a row. */
const POLL_MS = 400;
const LONGEST_POLL_MS = 15_000;
/** Streams of a user, and of the guests with the token of an order. */
const PER_CLIENT = 10;
const PER_GATEWAY = 2000;
/** IDs in one poll, see `versionsOf`. */
const IDS_PER_POLL = 1000;

/** State of the polls of one `watch` action. */
interface Poll {
	inFlight: boolean;
	readonly retries: Backoff;
}

/**
 * Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html). While
 * streams are open, one poll for all of a gateway's streams checks every 400 ms which of them have
 * new events. No node has to announce a change, and orders without a stream cost nothing.
 *
 * Each stream has its own position, its own read and its own backoff: a stream that cannot be read
 * neither delays the others nor makes them receive an event twice.
 */
export class EventStreams {
	/** Also those whose first events are still being loaded: they count against the limits. */
	readonly #open = new Set<EventStream>();
	readonly #polls = new Map<string, Poll>();
	readonly #gateway: Gateway;
	#poller: Poller | undefined;
	#closing = false;

	constructor(gateway: Gateway) {
		this.#gateway = gateway;
	}

	/**
	 * Responds with an event stream, or with 204 if no event will ever follow.
	 * @param load reads the first events
	 * @throws RATE_LIMITED when the client has too many streams; SERVICE_UNAVAILABLE when the gateway
	 * has, or is about to stop
	 */
	async serve(req: Request, res: Response, load: () => Promise<EventStreamPage>): Promise<void> {
		const stream = new EventStream(req, res, (closed) => this.#open.delete(closed));
		if (stream.over) return;
		this.#assertRoom(stream.client);
		// The slot is occupied before the first await; otherwise parallel requests pass the check
		// together.
		this.#open.add(stream);
		try {
			const first = await load();
			if (this.#closing) throw commonError("SERVICE_UNAVAILABLE");
			if (!stream.over) this.#start(stream, res, first);
		} catch (error) {
			stream.close();
			throw error;
		}
	}

	/** Ends every stream. Their clients reconnect to another gateway. */
	async close(): Promise<void> {
		this.#closing = true;
		for (const stream of this.#open) if (stream.started) stream.end("this node is stopping");
		await this.#poller?.stop();
	}

	#assertRoom(client: string): void {
		if (this.#closing || this.#open.size >= PER_GATEWAY) throw commonError("SERVICE_UNAVAILABLE");
		const own = [...this.#open].filter((stream) => stream.client === client).length;
		if (own >= PER_CLIENT)
			throw commonError(
				"RATE_LIMITED",
				{ retry_after: HEARTBEAT_MS / 1000 },
				`At most ${PER_CLIENT} event streams can be open, of a user or of a guest's order`,
			);
	}

	#start(stream: EventStream, res: Response, first: EventStreamPage): void {
		const { req } = stream;
		// The specification's way to stop a browser from reconnecting.
		const nothingFollows = first.ended && first.events.length === 0;
		if (nothingFollows || req.method === "HEAD") stream.close();
		if (nothingFollows) return void writeHead(this.#gateway, req, res, 204).end();
		writeHead(this.#gateway, req, res, 200, {
			"Content-Type": "text/event-stream",
			"Cache-Control": "no-store",
			"X-Accel-Buffering": "no",
		});
		if (req.method === "HEAD") return void res.end();
		stream.start(first);
		this.#poller ??= startPoller({
			intervalMs: POLL_MS,
			poll: async () => this.#pollAll(),
			onError: (error) =>
				this.#gateway.logger.error("Event streams could not be polled", { error }),
		});
	}

	/** Starts polls and does not wait for them: a slow service must not delay the heartbeats. */
	#pollAll(): boolean {
		for (const stream of this.#open) if (stream.started) this.#check(stream);
		const readable = [...this.#open].filter(
			(stream) => stream.started && !stream.reading && !stream.retries.waits(),
		);
		for (const [watch, streams] of Map.groupBy(
			readable,
			({ req }) => req.$alias.contract!.stream!.watch,
		)) {
			const poll = this.#polls.get(watch) ?? {
				inFlight: false,
				retries: backoff(2 * POLL_MS, LONGEST_POLL_MS),
			};
			this.#polls.set(watch, poll);
			if (!poll.inFlight && !poll.retries.waits()) void this.#poll(watch, poll, streams);
		}
		return false;
	}

	/** Ends a stream whose access token has become invalid, and sends heartbeats. */
	#check(stream: EventStream): void {
		if (!this.#isAuthentic(stream.req)) stream.end("the access token is no longer valid");
		stream.keepAlive();
	}

	/** Whether the caller's access token is still valid. That of a guest has been ignored. */
	#isAuthentic({ authentication, headers, cookieAuthorization }: Request): boolean {
		if (authentication.user === null) return true;
		try {
			this.#gateway.verifyToken(headers.authorization ?? cookieAuthorization);
			return true;
		} catch {
			return false;
		}
	}

	/** Never rejects. */
	async #poll(watch: string, poll: Poll, streams: readonly EventStream[]): Promise<void> {
		poll.inFlight = true;
		try {
			for (let i = 0; i < streams.length; i += IDS_PER_POLL)
				await this.#compare(watch, streams.slice(i, i + IDS_PER_POLL));
			poll.retries.succeeded();
		} catch (error) {
			poll.retries.failed();
			if (!this.#closing)
				this.#gateway.logger.warn("Event streams could not be polled; will retry", {
					watch,
					error,
				});
		} finally {
			poll.inFlight = false;
		}
	}

	/** Starts a read of each stream whose subject has changed. */
	async #compare(watch: string, streams: readonly EventStream[]): Promise<void> {
		const subjects = streams.map(({ subject }) => subject);
		const current = await lookUpDistinct(subjects, (ids) =>
			this.#gateway.broker.call<(string | null)[], object>(watch, { ids }),
		);
		for (const stream of streams) {
			const version = current.get(stream.subject)!;
			if (stream.started && stream.version !== version) void this.#read(stream, version);
		}
	}

	/** Reads one stream's new events with the rights of its client. Never rejects. */
	async #read(stream: EventStream, version: string | null): Promise<void> {
		stream.reading = true;
		try {
			stream.deliver(await this.#load(stream));
			stream.version = version;
			stream.retries.succeeded();
		} catch (error) {
			this.#readFailed(stream, error);
		} finally {
			stream.reading = false;
		}
	}

	#load({ req, position }: EventStream): Promise<EventStreamPage> {
		const { action, contract } = req.$alias;
		const params = { ...req.$params, ...(position === undefined ? {} : { after: position }) };
		const { meta } = req.$ctx as Context;
		return this.#gateway.broker.call<EventStreamPage, object>(action ?? contract!.name, params, {
			meta,
		});
	}

	#readFailed(stream: EventStream, error: unknown): void {
		// The client may not read it any more, or its subject is gone: it reconnects and receives the
		// error.
		const { status } = toProblem(error, stream.req.$alias.action);
		if (status < 500) stream.end("these events are no longer accessible");
		else stream.retries.failed();
		if (status >= 500 && !this.#closing)
			this.#gateway.logger.warn("An event stream could not be read; will retry", {
				request_id: stream.req.id,
				error,
			});
	}
}
