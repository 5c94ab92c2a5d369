import type { ServiceThis } from "../../lib/contracts/contract.ts";
import type { EventStream } from "../../lib/messaging/jetstream.ts";
import type { Relay } from "../../lib/messaging/relay.ts";
import type { Subscriptions } from "../../lib/messaging/subscriptions.ts";
import type { HasDatabase } from "../database.mixin.ts";
import type { ConsumerRefill } from "./refill.ts";
import type { EventTraces } from "./traces.ts";

/** Members that the durable-events mixin keeps on a service for itself. */
export interface DurableEventsState {
	readonly schema: { readonly subscriptions?: Subscriptions };
	/** Event types of the contract that the service publishes. */
	$types: readonly string[];
	/** Types and patterns that the service subscribes to. */
	$patterns: readonly string[];
	/** Validators of event data, by type. */
	$checks: Map<string, (data: object) => true | object[]>;
	$relays: Set<Relay>;
	/** Functions that stop the mixin's parts; they run before the database closes. */
	$stops: (() => Promise<void>)[];
	$closing: boolean;
	/** Reads the retries at once, because one was added or is due earlier. */
	$wakeRetries(): void;
	/** Transport between nodes; undefined if events stay in the process. */
	$stream: EventStream | undefined;
	/** Refills this service's consumers after the stream has discarded unread messages. */
	$refill: ConsumerRefill | undefined;
	$traces: EventTraces;
	/** Releases the shared connection to the stream. */
	$releaseStream(): Promise<void>;
}

export type Self = ServiceThis &
	HasDatabase &
	DurableEventsState & {
		/** Starts an immediate poll of the relays after events were committed. */
		wakeRelay(): void;
	};

/** Whether failures are expected because the service or the node is shutting down. */
export const isClosing = ({ broker, $closing }: Self): boolean => $closing || broker.stopping;
