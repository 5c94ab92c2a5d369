import {
	type Context,
	SpanKind as OtelSpanKind,
	type Span as Recorded,
	type Tracer as Recorder,
	ROOT_CONTEXT,
	SpanStatusCode,
	trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
	AlwaysOffSampler,
	AlwaysOnSampler,
	BatchSpanProcessor,
	ParentBasedSampler,
	type Sampler,
	type SpanExporter,
	TraceIdRatioBasedSampler,
	TracerProvider,
} from "@opentelemetry/sdk-trace";
import { isSampled } from "../../context/traceparent.ts";
import { version } from "../../process/version.ts";
import type { Env } from "../../settings/env.ts";
import { errorKind, isRefusal } from "./error-kind.ts";
import { exportTarget, resourceAttributes } from "./options.ts";
import type { Span, SpanKind, Tracer, Tracing } from "./tracing.ts";

/*
 * The only file that knows OpenTelemetry. Of its packages we use what makes, batches and exports spans. What is current we know by ourselves: the W3C
 * traceparent, which travels everywhere anyway, is all the context that there is.
 */

/** Spans wait at most two seconds, and as many as a burst makes. */
const BATCH = {
	maxQueueSize: 16_384,
	maxExportBatchSize: 512,
	scheduledDelayMillis: 2000,
	exportTimeoutMillis: 10_000,
};
/** Trouble is told once in so many milliseconds. */
const QUIET = 60_000;

const KINDS: Readonly<Record<SpanKind, OtelSpanKind>> = {
	internal: OtelSpanKind.INTERNAL,
	server: OtelSpanKind.SERVER,
	client: OtelSpanKind.CLIENT,
	producer: OtelSpanKind.PRODUCER,
	consumer: OtelSpanKind.CONSUMER,
};
/** Kinds whose parents are elsewhere. */
const ARRIVING: readonly SpanKind[] = ["server", "consumer"];

export async function startExport(env: Env, instance: string): Promise<Tracing> {
	let onTrouble: (error: unknown) => void = () => undefined;
	const processor = new BatchSpanProcessor({
		exporter: telling(await exporterOf(env), (error) => onTrouble(error)),
		...BATCH,
	});
	const sampler = samplerOf(env);
	const tracers = new Map<string, Tracer>();
	function make(service: string): Tracer {
		const resource = resourceFromAttributes(resourceAttributes(env, service, instance));
		// One for each service, since it is what bears the name; they share all else.
		const provider = new TracerProvider({ resource, sampler, spanProcessors: [processor] });
		return tracer(provider.getTracer("moleculer-commerce", version));
	}
	return {
		instance,
		onExportError(tell) {
			onTrouble = tell;
		},
		of(service) {
			const found = tracers.get(service) ?? make(service);
			tracers.set(service, found);
			return found;
		},
		// What goes wrong is told by the exporter.
		close: () => processor.shutdown().catch(() => undefined),
	};
}

async function exporterOf(env: Env): Promise<SpanExporter> {
	const options = { ...exportTarget(env), timeoutMillis: BATCH.exportTimeoutMillis };
	const { OTLPTraceExporter } = await (env.OTEL_EXPORTER_OTLP_PROTOCOL === "http/json"
		? import("@opentelemetry/exporter-trace-otlp-http")
		: import("@opentelemetry/exporter-trace-otlp-proto"));
	return new OTLPTraceExporter(options);
}

/** An exporter whose failures are heard of. */
function telling(exporter: SpanExporter, onTrouble: (error: unknown) => void): SpanExporter {
	let quietUntil = 0;
	return {
		export(spans, done) {
			exporter.export(spans, (result) => {
				if (result.error && Date.now() > quietUntil) {
					quietUntil = Date.now() + QUIET;
					onTrouble(result.error);
				}
				done(result);
			});
		},
		shutdown: () => exporter.shutdown(),
	};
}

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration */
export function samplerOf({
	OTEL_TRACES_SAMPLER: name,
	OTEL_TRACES_SAMPLER_ARG: share,
}: Env): Sampler {
	const kinds = {
		always_on: () => new AlwaysOnSampler(),
		always_off: () => new AlwaysOffSampler(),
		traceidratio: () => new TraceIdRatioBasedSampler(share),
	};
	const root = kinds[name.replace("parentbased_", "") as keyof typeof kinds]();
	return name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

const tracer = (recorder: Recorder): Tracer => ({
	enter(name, parent, startTime) {
		const recorded = recorder.startSpan(
			name,
			{ kind: OtelSpanKind.SERVER, startTime },
			parent ? contextOf(parent, true) : ROOT_CONTEXT,
		);
		return recorded.isRecording() ? span(recorded) : undefined;
	},
	start(name, kind, parent, attributes) {
		// Where requests enter it was decided for all that is below.
		if (!isSampled(parent)) return undefined;
		const recorded = recorder.startSpan(
			name,
			{ kind: KINDS[kind] },
			contextOf(parent, ARRIVING.includes(kind)),
		);
		if (!recorded.isRecording()) return undefined;
		recorded.setAttributes({ ...attributes });
		return span(recorded);
	},
});

function contextOf(traceparent: string, isRemote: boolean): Context {
	const [, traceId, spanId, flags] = traceparent.split("-") as [string, string, string, string];
	return trace.setSpanContext(ROOT_CONTEXT, {
		traceId,
		spanId,
		traceFlags: Number.parseInt(flags, 16) & 1,
		isRemote,
	});
}

function span(recorded: Recorded): Span {
	const { traceId, spanId } = recorded.spanContext();
	return {
		traceparent: `00-${traceId}-${spanId}-01`,
		set: (attributes) => void recorded.setAttributes({ ...attributes }),
		addEvent: (event, attributes) => void recorded.addEvent(event, attributes && { ...attributes }),
		fail(error) {
			recorded.setAttribute("error.type", errorKind(error));
			if (!isRefusal(error)) recorded.setStatus({ code: SpanStatusCode.ERROR });
		},
		end: () => recorded.end(),
	};
}
