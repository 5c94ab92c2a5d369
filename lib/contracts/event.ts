import type { EventData, EventType } from "./contract.ts";

/** A fact as it travels: CloudEvents 1.0 in its JSON form, with a traceparent where the writer had one. */
export interface Event<E extends EventType = EventType> {
	readonly specversion: "1.0";
	readonly id: string;
	readonly source: string;
	readonly type: E;
	/** The id of what it happened to. */
	readonly subject: string;
	readonly time: string;
	readonly datacontenttype: "application/json";
	readonly data: EventData<E>;
	readonly traceparent?: string;
	/** Grows with the order in which a service wrote its events; compare as text. A handler tells by it what came first. */
	readonly sequence: string;
}

/** What a service wants to hear: one type, or all types of one kind. */
export type Pattern = EventType | `${EventType extends `${infer Kind}.${string}` ? Kind : never}.*`;
export type Matching<P extends string> = P extends `${infer Kind}.*`
	? Extract<EventType, `${Kind}.${string}`>
	: Extract<EventType, P>;
/** `Event` distributed over a union of types, so that `type` tells what `data` is. */
export type EventOf<E extends EventType> = E extends EventType ? Event<E> : never;

/** Whether a pattern covers a type. */
export const matches = (pattern: string, type: string): boolean =>
	pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
