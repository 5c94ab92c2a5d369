import {
	type Context,
	type Span as OtelSpan,
	SpanKind as OtelSpanKind,
	type Tracer as OtelTracer,
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
import { isRefusal } from "../../resilience/outages.ts";
import type { Env } from "../../settings/env.ts";
import { errorKind } from "./error-kind.ts";
import { exportTarget, resourceAttributes } from "./options.ts";
import type { Span, SpanKind, Tracer, Tracing } from "./tracing.ts";

/*
 * Only this file and options.ts import OpenTelemetry. They use the packages that create, batch and
 * export spans, without their context management: the W3C traceparent, which is propagated anyway,
 * is the only context.
 */

/** Spans are exported within two seconds. The queue holds the spans of a burst. */
const BATCH = {
	maxQueueSize: 16_384,
	maxExportBatchSize: 512,
	scheduledDelayMillis: 2000,
	exportTimeoutMillis: 10_000,
};
/** Milliseconds between two reports of a failed export. */
const REPORT_INTERVAL_MS = 60_000;

const KINDS: Readonly<Record<SpanKind, OtelSpanKind>> = {
	internal: OtelSpanKind.INTERNAL,
	server: OtelSpanKind.SERVER,
	client: OtelSpanKind.CLIENT,
	producer: OtelSpanKind.PRODUCER,
	consumer: OtelSpanKind.CONSUMER,
};
/** Kinds whose parent span is in another process. */
const REMOTE_PARENT: readonly SpanKind[] = ["server", "consumer"];

/**
 * Starts the export of spans over OTLP, with the OTEL_* settings.
 * @param instance ID of this node in traces
 */
export async function startExport(env: Env, instance: string): Promise<Tracing> {
	let onError: (error: unknown) => void = () => undefined;
	const processor = new BatchSpanProcessor({
		exporter: reportingFailures(await createExporter(env), (error) => onError(error)),
		...BATCH,
	});
	const sampler = createSampler(env);
	const tracers = new Map<string, Tracer>();
	function createTracer(service: string): Tracer {
		const resource = resourceFromAttributes(resourceAttributes(env, service, instance));
		// Each service needs its own provider because the resource contains its name. All else is
		// shared.
		const provider = new TracerProvider({ resource, sampler, spanProcessors: [processor] });
		return tracer(provider.getTracer("moleculer-commerce", version));
	}
	return {
		instance,
		onExportError(listener) {
			onError = listener;
		},
		of(service) {
			const found = tracers.get(service) ?? createTracer(service);
			tracers.set(service, found);
			return found;
		},
		// The exporter reports failures.
		close: () => processor.shutdown().catch(() => undefined),
	};
}

async function createExporter(env: Env): Promise<SpanExporter> {
	const options = { ...exportTarget(env), timeoutMillis: BATCH.exportTimeoutMillis };
	const { OTLPTraceExporter } = await (env.OTEL_EXPORTER_OTLP_PROTOCOL === "http/json"
		? import("@opentelemetry/exporter-trace-otlp-http")
		: import("@opentelemetry/exporter-trace-otlp-proto"));
	return new OTLPTraceExporter(options);
}

/** Wraps an exporter to report its failures. */
function reportingFailures(
	exporter: SpanExporter,
	onError: (error: unknown) => void,
): SpanExporter {
	let silentUntil = 0;
	return {
		export(spans, done) {
			exporter.export(spans, (result) => {
				if (result.error && Date.now() > silentUntil) {
					silentUntil = Date.now() + REPORT_INTERVAL_MS;
					onError(result.error);
				}
				done(result);
			});
		},
		shutdown: () => exporter.shutdown(),
	};
}

/**
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
 */
function createSampler({
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

const tracer = (otelTracer: OtelTracer): Tracer => ({
	enter(name, parent, startTime) {
		const otelSpan = otelTracer.startSpan(
			name,
			{ kind: OtelSpanKind.SERVER, startTime },
			parent ? contextOf(parent, true) : ROOT_CONTEXT,
		);
		return otelSpan.isRecording() ? span(otelSpan) : undefined;
	},
	start(name, kind, parent, attributes) {
		// The sampling decision was made where the request entered the system.
		if (!isSampled(parent)) return undefined;
		const otelSpan = otelTracer.startSpan(
			name,
			{ kind: KINDS[kind] },
			contextOf(parent, REMOTE_PARENT.includes(kind)),
		);
		if (!otelSpan.isRecording()) return undefined;
		otelSpan.setAttributes({ ...attributes });
		return span(otelSpan);
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

function span(otelSpan: OtelSpan): Span {
	const { traceId, spanId } = otelSpan.spanContext();
	return {
		traceparent: `00-${traceId}-${spanId}-01`,
		set: (attributes) => void otelSpan.setAttributes({ ...attributes }),
		addEvent: (event, attributes) => void otelSpan.addEvent(event, attributes && { ...attributes }),
		fail(error) {
			otelSpan.setAttribute("error.type", errorKind(error));
			if (!isRefusal(error)) otelSpan.setStatus({ code: SpanStatusCode.ERROR });
		},
		end: () => otelSpan.end(),
	};
}
