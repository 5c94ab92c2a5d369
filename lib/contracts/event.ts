import type { EventData, EventType } from "./contract.ts";

/** Domain event in the JSON format of CloudEvents 1.0, with the traceparent of its cause. */
export interface Event<E extends EventType = EventType> {
	readonly specversion: "1.0";
	readonly id: string;
	readonly source: string;
	readonly type: E;
	/** ID of the object that the event describes. */
	readonly subject: string;
	readonly time: string;
	readonly datacontenttype: "application/json";
	readonly data: EventData<E>;
	readonly traceparent?: string;
	/**
	 * Increases in the order in which a service wrote its events; compare as text. Handlers use it to
	 * detect outdated events.
	 */
	readonly sequence: string;
}

/** Subscription pattern: one type (`order.confirmed`) or all types of a kind (`order.*`). */
export type Pattern = EventType | `${EventType extends `${infer Kind}.${string}` ? Kind : never}.*`;
export type Matching<P extends string> = P extends `${infer Kind}.*`
	? Extract<EventType, `${Kind}.${string}`>
	: Extract<EventType, P>;
/** `Event` distributed over a union of types, so that `type` determines the type of `data`. */
export type EventOf<E extends EventType> = E extends EventType ? Event<E> : never;

/** Whether a pattern matches an event type. */
export const matches = (pattern: string, type: string): boolean =>
	pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
