import type { Context, ServiceBroker } from "moleculer";
import { commonError } from "../../lib/errors.ts";
import { type Loop, loop } from "../../lib/loop.ts";
import type { Streamed } from "../../lib/streams.ts";
import { begin, type Gateway, type Request, type Response } from "./exchange.ts";

/** Milliseconds: news is looked for, and that the other side is still there. Proxies end what is silent for a minute. */
const LOOK_EVERY = 400;
const BEAT_EVERY = 15_000;
/** What a client waits before it comes back after the end of a connection. */
const RETRY = 1000;
const PER_USER = 10;
const PER_GATEWAY = 2000;
/** Ids in one question, see `versionsOf`. */
const AT_ONCE = 1000;
/** Bytes that a client may leave unread. */
const UNREAD = 65_536;

interface Stream {
	readonly user: string;
	readonly req: Request;
	readonly res: Response;
	readonly watch: string;
	readonly subject: string;
	version: string | null | undefined;
	after: string | undefined;
	beatAt: number;
}

/**
 * Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html). While somebody listens, one question for all of a gateway's
 * streams tells every 400 ms which of them have news: nobody has to announce anything, so it is all the same which node a change was made on,
 * and orders that nobody watches cost nothing.
 */
export class Streams {
	readonly #open = new Set<Stream>();
	readonly #broker: ServiceBroker;
	readonly #gateway: Gateway;
	#loop: Loop | undefined;
	#closing = false;

	constructor(gateway: Gateway) {
		this.#gateway = gateway;
		this.#broker = gateway.broker;
	}

	/** @throws RATE_LIMITED when the user has too many open; SERVICE_UNAVAILABLE when the gateway has, or is about to stop */
	assertRoom(user: string): void {
		if (this.#closing || this.#open.size >= PER_GATEWAY) throw commonError("SERVICE_UNAVAILABLE");
		const theirs = [...this.#open].filter((stream) => stream.user === user).length;
		if (theirs >= PER_USER) throw commonError("RATE_LIMITED", { retry_after: BEAT_EVERY / 1000 }, `At most ${PER_USER} streams at once`);
	}

	/** Begins to answer. @param first what the action says by now */
	open(req: Request, res: Response, first: Streamed): void {
		const { after } = req.$params as { after?: string };
		// Told that there is no more, a browser does not come back (204, as the specification has it).
		if (first.ended && first.events.length === 0) return void begin(this.#gateway, req, res, 204).end();
		begin(this.#gateway, req, res, 200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no" });
		if (req.method === "HEAD") return void res.end();
		const { id } = req.$params as { id: string };
		const user = req.$ctx.meta.user!.id;
		const stream: Stream = {
			user,
			req,
			res,
			watch: req.$alias.contract!.stream!.watch,
			subject: id,
			version: undefined,
			after,
			beatAt: Date.now(),
		};
		res.write(`retry: ${RETRY}\n\n`);
		res.once("close", () => this.#open.delete(stream));
		this.#open.add(stream);
		this.#tell(stream, first);
		this.#loop ??= loop({
			every: LOOK_EVERY,
			turn: () => this.#look(),
			onError: (error) => this.#gateway.logger.warn("Streams could not be asked for news", { error }),
		});
	}

	/** Ends every stream; their clients come back and find another gateway. */
	async close(): Promise<void> {
		this.#closing = true;
		for (const { res } of this.#open) res.end(": this node is stopping\n\n");
		await this.#loop?.stop();
	}

	async #look(): Promise<boolean> {
		for (const stream of this.#open) this.#check(stream);
		const byWatch = Map.groupBy(this.#open, ({ watch }) => watch);
		for (const [watch, streams] of byWatch) {
			for (let i = 0; i < streams.length; i += AT_ONCE) await this.#ask(watch, streams.slice(i, i + AT_ONCE));
		}
		return false;
	}

	/** Ends what may not go on, and lets the other side know that we are here. */
	#check(stream: Stream): void {
		const { req, res } = stream;
		try {
			this.#gateway.authenticate(req.headers.authorization);
		} catch {
			res.end(": the access token is not good any more\n\n");
			this.#open.delete(stream);
			return;
		}
		if (res.writableLength > UNREAD) res.destroy();
		else if (Date.now() - stream.beatAt >= BEAT_EVERY) {
			res.write(":\n\n");
			stream.beatAt = Date.now();
		}
	}

	async #ask(watch: string, streams: readonly Stream[]): Promise<void> {
		const ids = [...new Set(streams.map(({ subject }) => subject))];
		const versions = await this.#broker.call<(string | null)[], object>(watch, { ids });
		const now = new Map(ids.map((id, i) => [id, versions[i] ?? null]));
		const moved = streams.filter((stream) => stream.version !== now.get(stream.subject));
		await Promise.all(moved.map((stream) => this.#fetch(stream, now.get(stream.subject)!)));
	}

	/** Asks for one stream's news as its reader would, with the reader's rights. */
	async #fetch(stream: Stream, version: string | null): Promise<void> {
		const { action, contract } = stream.req.$alias;
		const params = { ...stream.req.$params, ...(stream.after === undefined ? {} : { after: stream.after }) };
		const parentCtx = stream.req.$ctx as Context;
		const news = await this.#broker.call<Streamed, object>(action ?? contract!.name, params, { meta: parentCtx.meta });
		stream.version = version;
		this.#tell(stream, news);
	}

	#tell(stream: Stream, { events, ended }: Streamed): void {
		for (const { id, type, data } of events) {
			stream.res.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
			stream.after = id;
			stream.beatAt = Date.now();
		}
		if (ended) stream.res.end();
	}
}
