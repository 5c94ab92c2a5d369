import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

type Value = { stringValue?: string; intValue?: number; doubleValue?: number; boolValue?: boolean };
interface Attribute {
	readonly key: string;
	readonly value: Value;
}
/**
 * The fields that tests read, of
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
 */
interface Exported {
	readonly resourceSpans: {
		readonly resource: { readonly attributes: Attribute[] };
		readonly scopeSpans: {
			readonly spans: {
				readonly traceId: string;
				readonly spanId: string;
				readonly parentSpanId?: string;
				readonly name: string;
				readonly kind: number;
				readonly startTimeUnixNano: string;
				readonly endTimeUnixNano: string;
				readonly attributes: Attribute[];
				readonly events: { readonly name: string; readonly attributes: Attribute[] }[];
				readonly status: { readonly code?: number };
			}[];
		}[];
	}[];
}
type Attributes = Record<string, unknown>;
export interface ReceivedSpan {
	readonly trace: string;
	readonly id: string;
	readonly parent: string | undefined;
	readonly service: string;
	readonly kind: string;
	readonly name: string;
	readonly failed: boolean;
	readonly attributes: Attributes;
	readonly events: { readonly name: string; readonly attributes: Attributes }[];
	readonly resource: Attributes;
}
export interface Receiver {
	/** Value for OTEL_EXPORTER_OTLP_ENDPOINT. */
	readonly url: string;
	readonly spans: ReceivedSpan[];
	/** Raw bodies of all requests. */
	readonly bodies: string[];
	readonly headers: IncomingHttpHeaders[];
	stop(): Promise<void>;
}

const KINDS = ["", "internal", "server", "client", "producer", "consumer"];
const attributesOf = (all: Attribute[]): Attributes =>
	Object.fromEntries(all.map(({ key, value }) => [key, Object.values(value)[0]]));

const spansOf = ({ resourceSpans }: Exported): ReceivedSpan[] =>
	resourceSpans.flatMap(({ resource, scopeSpans }) => {
		const known = attributesOf(resource.attributes);
		return scopeSpans.flatMap(({ spans }) =>
			spans.map((span) => ({
				trace: span.traceId,
				id: span.spanId,
				parent: span.parentSpanId,
				service: String(known["service.name"]),
				kind: KINDS[span.kind]!,
				name: span.name,
				failed: span.status.code === 2,
				attributes: attributesOf(span.attributes),
				events: span.events.map(({ name, attributes }) => ({
					name,
					attributes: attributesOf(attributes),
				})),
				resource: known,
			})),
		);
	});

/** Receives traces by OTLP over HTTP as JSON; of Protobuf requests it keeps only the bytes. */
export async function startReceiver(): Promise<Receiver> {
	const received: Omit<Receiver, "url" | "stop"> = { spans: [], bodies: [], headers: [] };
	const server = createServer(async (req, res) => {
		const chunks: Buffer[] = [];
		for await (const chunk of req) chunks.push(chunk);
		const body = Buffer.concat(chunks).toString("latin1");
		received.bodies.push(body);
		received.headers.push(req.headers);
		if (req.url === "/v1/traces" && req.headers["content-type"] === "application/json")
			received.spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString()) as Exported));
		res
			.writeHead(200, { "Content-Type": req.headers["content-type"] })
			.end(req.headers["content-type"] === "application/json" ? "{}" : "");
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		...received,
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async stop() {
			server.close();
			server.closeAllConnections();
		},
	};
}

/** Trace as indented lines, children below their parent, siblings sorted by name. */
export function tree(spans: readonly ReceivedSpan[], parent?: string, depth = 0): string[] {
	const ids = new Set(spans.map(({ id }) => id));
	const below = spans.filter((span) =>
		parent === undefined ? !span.parent || !ids.has(span.parent) : span.parent === parent,
	);
	const lines = below.map((span) => [
		`${"  ".repeat(depth)}${span.service} ${span.kind} ${span.name}`,
		...tree(spans, span.id, depth + 1),
	]);
	return lines.sort(([a], [b]) => (a! < b! ? -1 : 1)).flat();
}
