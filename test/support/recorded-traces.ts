import { randomBytes } from "node:crypto";
import { isSampled, traceIdOf } from "../../lib/context/traceparent.ts";
import { errorKind } from "../../lib/observability/tracing/error-kind.ts";
import type { Attributes, Span, Tracing } from "../../lib/observability/tracing/tracing.ts";

interface RecordedSpan {
	readonly service: string;
	readonly kind: string;
	readonly name: string;
	readonly traceparent: string;
	readonly parent: string | undefined;
	readonly attributes: Record<string, unknown>;
	readonly notes: [event: string, attributes?: Attributes][];
	failure?: string;
	ended: boolean;
}

const hex = (bytes: number) => randomBytes(bytes).toString("hex");

/** Tracing that appends its spans to a list. */
export function recordedTraces(): Tracing & { readonly spans: RecordedSpan[] } {
	const spans: RecordedSpan[] = [];
	function begin(
		service: string,
		kind: string,
		name: string,
		parent: string | undefined,
		attributes: Attributes = {},
	): Span {
		const traceparent = `00-${traceIdOf(parent) ?? hex(16)}-${hex(8)}-01`;
		const recorded: RecordedSpan = {
			service,
			kind,
			name,
			traceparent,
			parent,
			attributes: { ...attributes },
			notes: [],
			ended: false,
		};
		spans.push(recorded);
		return {
			traceparent,
			set: (more) => void Object.assign(recorded.attributes, more),
			addEvent: (...noted) => void recorded.notes.push(noted),
			fail(error) {
				recorded.failure = errorKind(error);
			},
			end() {
				recorded.ended = true;
			},
		};
	}
	return {
		spans,
		instance: `test-${hex(4)}`,
		onExportError: () => undefined,
		of: (service) => ({
			enter: (name, parent) => begin(service, "server", name, parent),
			start: (name, kind, parent, attributes) =>
				isSampled(parent) ? begin(service, kind, name, parent, attributes) : undefined,
		}),
		close: async () => undefined,
	};
}
