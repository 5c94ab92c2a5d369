import type { EventOf, Matching, Pattern } from "../contracts/event.ts";
import type { Tx } from "../persistence/database.ts";

/**
 * Handlers of durable events by type (`order.confirmed`) or pattern (`order.*`). A handler runs in
 * the transaction that records the events as processed, and in the events' trace. A batch can
 * contain events of several traces; a handler that publishes passes on each event's trace.
 */
export type Subscriptions<This = unknown> = {
	[P in Pattern]?: (this: This, tx: Tx, events: EventOf<Matching<P>>[]) => Promise<void>;
};
