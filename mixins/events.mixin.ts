import { type Group, localBus } from "../lib/bus.ts";
import type { Contract, EventData, EventType, Mixin, ServiceThis } from "../lib/contract.ts";
import type { Tx } from "../lib/database.ts";
import { envOf } from "../lib/env.ts";
import { type Event, type EventOf, type Matching, matches, type Pattern } from "../lib/events.ts";
import { type Inbox, inbox } from "../lib/inbox.ts";
import { prune, type Reader, readOutbox, write } from "../lib/outbox.ts";
import type { HasDatabase } from "./db.mixin.ts";

/** Handlers by what they want to hear. They run in the transaction that notes the events as received. */
export type Subscriptions<M = unknown> = {
	[P in Pattern]?: (this: ServiceThis & M, tx: Tx, events: EventOf<Matching<P>>[]) => Promise<void>;
};

export interface HasEvents {
	/** Writes a fact into the outbox, in the caller's transaction. */
	publish<E extends EventType>(tx: Tx, type: E, subject: string, data: EventData<E>, traceparent?: string): Promise<void>;
	/** A fact's data, checked, as the JSON text that a set-based statement writes into the outbox by itself; call `wakeRelay` after it. */
	fact<E extends EventType>(type: E, data: EventData<E>): string;
	/** Facts were committed. */
	wakeRelay(): void;
}
interface Self extends ServiceThis, HasDatabase, HasEvents {
	$readers: Reader[];
	$checks: Map<string, (data: object) => true | object[]>;
	$timers: NodeJS.Timeout[];
}

const RETRY_EVERY = 500;
const PRUNE_EVERY = 60_000;

/**
 * A service's events, both ways, on the database of the `database` mixin: what it publishes goes through its outbox, what it subscribes to
 * comes through its inbox.
 */
export function events<M>(contract: Contract, subscriptions: Subscriptions<M & HasDatabase> = {}): Mixin<HasEvents> {
	const types = Object.keys(contract.events ?? {});
	const patterns = Object.keys(subscriptions);
	return {
		methods: {
			fact(this: Self, type: string, data: object): string {
				const verdict = this.$checks.get(type)?.(data);
				if (verdict !== true) throw new Error(`${type} does not keep to its contract: ${JSON.stringify(verdict ?? "not declared")}`);
				return JSON.stringify(data);
			},
			async publish(this: Self, tx: Tx, type: EventType, subject: string, data: EventData<EventType>, traceparent?: string) {
				await write(tx, type, subject, this.fact(type, data), traceparent);
				tx.handle.afterCommit(() => this.wakeRelay());
			},
			wakeRelay(this: Self) {
				for (const reader of this.$readers) reader.wake();
			},
		},
		created(this: Self) {
			const validator = this.broker.validator as unknown as { compile(shape: object): (data: object) => true | object[] };
			this.$checks = new Map(types.map((type) => [type, validator.compile({ $$strict: true, ...contract.events![type] })]));
			this.$readers = [];
			this.$timers = [];
		},
		async started(this: Self) {
			const { db, logger } = this;
			const env = envOf(this.broker);
			const bus = localBus(this.broker);
			if (types.length > 0) {
				const attach = (group: Group) => {
					const deliver = (found: Event[]) =>
						group.accept(found.filter(({ type }) => group.patterns.some((pattern) => matches(pattern, type))));
					const onError = (error: unknown) =>
						logger.warn("Events could not be handed over and will be again", { group: group.name, error });
					this.$readers.push(readOutbox({ db, name: group.name, owner: this.broker.nodeID, source: `/${this.name}`, deliver, onError }));
				};
				bus.offer({ types, attach });
				this.$timers.push(
					setInterval(
						() => prune(db, env.EVENT_RETENTION_HOURS).catch((error) => logger.warn("Pruning the outbox failed", error)),
						PRUNE_EVERY,
					),
				);
			}
			if (patterns.length > 0) {
				const box = inbox({
					db,
					group: this.name,
					backoff: env.EVENT_BACKOFF.split(",").map(Number),
					handle: (tx, found) => dispatch(this, subscriptions, tx, found),
					onFailure,
				});
				bus.join({ name: this.name, patterns, accept: (found) => box.accept(found) });
				this.$timers.push(repeat(box));
			}
			function onFailure(error: unknown, { id, type }: Event, dead: boolean) {
				logger[dead ? "error" : "warn"](dead ? "An event became a dead letter" : "An event's handler failed and will be tried again", {
					id,
					type,
					error,
				});
			}
			function repeat(box: Inbox) {
				let busy = false;
				return setInterval(() => {
					if (busy) return;
					busy = true;
					box
						.retry()
						.catch((error) => logger.warn("Events due for another try could not be read", error))
						.finally(() => {
							busy = false;
						});
				}, RETRY_EVERY);
			}
		},
		async stopped(this: Self) {
			for (const timer of this.$timers) clearInterval(timer);
			await Promise.all(this.$readers.map((reader) => reader.stop()));
		},
	};
}

/** Hands a batch to the handlers, each type to the most exact pattern. */
async function dispatch(self: ServiceThis, subscriptions: object, tx: Tx, found: Event[]): Promise<void> {
	const handlers = Object.entries(subscriptions) as [string, (tx: Tx, events: Event[]) => Promise<void>][];
	handlers.sort(([a], [b]) => Number(a.endsWith("*")) - Number(b.endsWith("*")));
	const rest = new Set(found);
	for (const [pattern, handler] of handlers) {
		const mine = [...rest].filter(({ type }) => matches(pattern, type));
		for (const event of mine) rest.delete(event);
		if (mine.length > 0) await handler.call(self, tx, mine);
	}
}
