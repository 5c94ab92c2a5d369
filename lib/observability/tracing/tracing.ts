/** Attributes of a span: names, generated IDs, codes and counts. Never personal data. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
/** https://opentelemetry.io/docs/specs/otel/trace/api/#spankind */
export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

export interface Span {
	/** The W3C traceparent that child spans continue. */
	readonly traceparent: string;
	set(attributes: Attributes): void;
	/** Adds a timestamped event. */
	addEvent(event: string, attributes?: Attributes): void;
	/** Marks the span as failed. Records `error.type`, never the message. */
	fail(error: unknown): void;
	end(): void;
}
/** Creates the spans of one service. */
export interface Tracer {
	/**
	 * Starts the span of an incoming request, in the trace of `parent` or in a new one.
	 * @param startTime as returned by `performance.now()`
	 * @returns undefined if the sampler rejects it
	 */
	enter(name: string, parent: string | undefined, startTime: number): Span | undefined;
	/**
	 * @returns undefined if the trace is not recorded; children then continue the parent's
	 * traceparent
	 */
	start(name: string, kind: SpanKind, parent: string, attributes?: Attributes): Span | undefined;
}
export interface Tracing {
	/** @param service name in the registry */
	of(service: string): Tracer;
	/** ID of this node in traces. */
	readonly instance: string;
	/** Registers a listener for failed exports. */
	onExportError(listener: (error: unknown) => void): void;
	/** Exports the remaining spans. May be called more than once. */
	close(): Promise<void>;
}

const tracings = new WeakMap<object, Tracing>();
/** Makes tracing available to the services of a broker, see {@link tracingOf}. */
export const provideTracing = (broker: object, tracing: Tracing): void =>
	void tracings.set(broker, tracing);
/** The tracing of a broker; undefined if tracing is off. */
export const tracingOf = (broker: object): Tracing | undefined => tracings.get(broker);
