import { parseKeyPairsIntoRecord } from "@opentelemetry/core";
import { version } from "../../process/version.ts";
import type { Env } from "../../settings/env.ts";

/**
 * The URL and headers of the trace exporter, see
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
 */
export function exportTarget(env: Env): { url: string; headers: Record<string, string> } {
	const base = env.OTEL_EXPORTER_OTLP_ENDPOINT;
	return {
		url: env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? `${base?.replace(/(?<!\/)\/+$/, "")}/v1/traces`,
		headers: {
			...parseKeyPairsIntoRecord(env.OTEL_EXPORTER_OTLP_HEADERS),
			...parseKeyPairsIntoRecord(env.OTEL_EXPORTER_OTLP_TRACES_HEADERS),
		},
	};
}

/**
 * OpenTelemetry resource attributes of one service in this process. OTEL_* settings override them.
 */
export function resourceAttributes(
	env: Env,
	service: string,
	instance: string,
): Record<string, string> {
	const given = parseKeyPairsIntoRecord(env.OTEL_RESOURCE_ATTRIBUTES);
	return {
		"service.namespace": "moleculer-commerce",
		"service.version": version,
		"service.instance.id": instance,
		"deployment.environment": env.NODE_ENV,
		"deployment.environment.name": given["deployment.environment"] ?? env.NODE_ENV,
		...given,
		"service.name": env.OTEL_SERVICE_NAME ?? given["service.name"] ?? service,
	};
}
