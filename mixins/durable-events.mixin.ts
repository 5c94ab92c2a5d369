import { currentTraceparent } from "../lib/context/traceparent.ts";
import { compileShape } from "../lib/contracts/compile-shape.ts";
import type { EventData, EventType, Mixin } from "../lib/contracts/contract.ts";
import type { Shape } from "../lib/contracts/schema.ts";
import { insertEvents } from "../lib/messaging/outbox.ts";
import { tracingOf } from "../lib/observability/tracing/tracing.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { assertSendable } from "../lib/resilience/message-size.ts";
import { afterStart } from "../lib/service/after-start.ts";
import { eventActionHandlers } from "./durable-events/actions.ts";
import { startConsuming } from "./durable-events/consuming.ts";
import { startPublishing } from "./durable-events/publishing.ts";
import { startPruning } from "./durable-events/retention.ts";
import type { Self as BaseSelf } from "./durable-events/self.ts";
import { eventTraces } from "./durable-events/traces.ts";
import { openTransport } from "./durable-events/transport.ts";

export interface HasDurableEvents {
	/**
	 * Inserts an event into the outbox in the caller's transaction. Call it after the change that it
	 * describes; this keeps the events of a subject in order. The event belongs to the current trace
	 * unless `traceparent` is given.
	 */
	publish<E extends EventType>(
		tx: Tx,
		type: E,
		subject: string,
		data: EventData<E>,
		traceparent?: string,
	): Promise<void>;
	/**
	 * Validates event data and returns it as JSON, for set-based statements that insert into the
	 * outbox themselves. Call `wakeRelay` after their commit.
	 */
	eventData<E extends EventType>(type: E, data: EventData<E>): string;
	/**
	 * Starts an immediate poll of the relays after events were committed.
	 * @param types of the events, so that relays of other types are not woken; all by default
	 */
	wakeRelay(...types: EventType[]): void;
}
type Self = BaseSelf &
	HasDurableEvents & { schema: { metadata: { events?: Record<string, Shape> } } };

/**
 * Durable events on the database of the `database` mixin: published events go through the service's
 * outbox, and the `subscriptions` of its schema are handled through its inbox.
 */
export const durableEvents: Mixin<HasDurableEvents> = {
	actions: eventActionHandlers(),
	methods: {
		eventData(this: Self, type: string, data: object): string {
			const result = this.$checks.get(type)?.(data);
			if (result !== true)
				throw new Error(
					`${type} violates its contract: ${JSON.stringify(result ?? "not declared")}`,
				);
			const json = JSON.stringify(data);
			assertSendable(type, Buffer.byteLength(json));
			return json;
		},
		async publish(
			this: Self,
			tx: Tx,
			type: EventType,
			subject: string,
			data: EventData<EventType>,
			traceparent?: string,
		) {
			const json = this.eventData(type, data);
			await insertEvents(tx, type, subject, json, traceparent ?? currentTraceparent());
			tx.handle.afterCommit(() => this.wakeRelay(type));
		},
		wakeRelay(this: Self, ...types: EventType[]) {
			for (const relay of this.$relays)
				if (types.length === 0 || types.some(relay.publishes)) relay.wake();
		},
	},
	created(this: Self) {
		const { metadata, subscriptions = {} } = this.schema;
		this.$checks = new Map(
			Object.entries(metadata.events ?? {}).map(([type, shape]) => [
				type,
				compileShape(this.broker, shape),
			]),
		);
		this.$types = [...this.$checks.keys()];
		this.$patterns = Object.keys(subscriptions);
		this.$relays = new Set();
		this.$stops = [];
		this.$closing = false;
		this.$wakeRetries = () => undefined;
		this.$releaseStream = async () => undefined;
	},
	async started(this: Self) {
		const { broker } = this;
		this.$stream = await openTransport(this);
		this.$traces = eventTraces(tracingOf(broker)?.of(this.name), this.$stream ? "nats" : "process");
		// A handler may call any service of this process.
		const cancel = afterStart(broker, () => {
			if (this.$types.length > 0) this.$stops.push(startPublishing(this));
			if (this.$patterns.length > 0) this.$stops.push(...startConsuming(this));
			this.$stops.push(startPruning(this, this.$patterns, this.$stream !== undefined));
		});
		this.$stops.push(async () => cancel());
	},
	async stopped(this: Self) {
		this.$closing = true;
		await Promise.all(this.$stops.map((stop) => stop()));
		await this.$releaseStream();
	},
};
