import type { Env } from "../../settings/env.ts";
import type { Tracing } from "./tracing.ts";

/**
 * Starts recording and exporting traces if the settings name an endpoint. Otherwise no
 * OpenTelemetry package is loaded, and `tracingOf` returns undefined.
 * @param instance ID of this node
 */
export async function openTracing(env: Env, instance: string): Promise<Tracing | undefined> {
	const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
	if (!endpoint || env.OTEL_SDK_DISABLED) return undefined;
	const { startExport } = await import("./otlp.ts");
	return startExport(env, instance);
}
