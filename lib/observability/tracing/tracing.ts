/** What is said of a span. Never of a person: names, ids that we made, codes and counts. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
/** https://opentelemetry.io/docs/specs/otel/trace/api/#spankind */
export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

export interface Span {
	/** What comes below it carries this. */
	readonly traceparent: string;
	set(attributes: Attributes): void;
	/** Something happened meanwhile. */
	addEvent(event: string, attributes?: Attributes): void;
	/** It came to nothing. Of an error its kind is told, not its words. */
	fail(error: unknown): void;
	end(): void;
}
/** Makes one service's spans. */
export interface Tracer {
	/**
	 * The span of a request from outside, in the trace that it says or in one of its own, where the sampler wants it.
	 * @param startTime by `performance.now()`
	 */
	enter(name: string, parent: string | undefined, startTime: number): Span | undefined;
	/** @returns nothing where the trace is not recorded; then what comes below goes on with the parent's traceparent */
	start(name: string, kind: SpanKind, parent: string, attributes?: Attributes): Span | undefined;
}
export interface Tracing {
	/** @param service its name, as the registry has it */
	of(service: string): Tracer;
	/** This node, as the traces name it. */
	readonly instance: string;
	/** Whoever hears that traces could not be exported. */
	onExportError(tell: (error: unknown) => void): void;
	/** Sends what is still here. May be called more than once. */
	close(): Promise<void>;
}

const tracings = new WeakMap<object, Tracing>();
export const provideTracing = (broker: object, tracing: Tracing): void =>
	void tracings.set(broker, tracing);
/** The tracing of a broker, if it traces. */
export const tracingOf = (broker: object): Tracing | undefined => tracings.get(broker);
