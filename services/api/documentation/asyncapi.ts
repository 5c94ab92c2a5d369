import type { ServiceBroker } from "moleculer";
import { matches } from "../../../lib/contracts/event.ts";
import { objectSchema, type Shape } from "../../../lib/contracts/schema.ts";
import { BATCH_FORMAT } from "../../../lib/messaging/event-batches.ts";

export interface EventService {
	readonly name: string;
	/** What it publishes, by type. */
	readonly events: Readonly<Record<string, Shape>>;
	/** Patterns of what it wants to hear. */
	readonly subscriptions: readonly string[];
}
type Json = Record<string, unknown>;

/** The services of the cluster that have to do with events, each once, as they told the registry. */
export function eventServices(broker: ServiceBroker): EventService[] {
	const services = broker.registry.getServiceList({
		onlyAvailable: true,
		skipInternal: true,
	}) as unknown as {
		name: string;
		metadata?: { events?: Record<string, Shape>; subscriptions?: string[] };
	}[];
	const found = services.map(({ name, metadata: { events = {}, subscriptions = [] } = {} }) => ({
		name,
		events,
		subscriptions,
	}));
	const byName = new Map(found.map((service) => [service.name, service]));
	return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All events as an AsyncAPI 3.0.0 document: a channel for each type, and who sends and who receives it. */
export function asyncapi(
	services: readonly EventService[],
	{ version, namespace }: { version: string; namespace: string },
): Json {
	const types = Object.fromEntries(
		services.flatMap(({ events }) => Object.entries(events)).sort(([a], [b]) => (a < b ? -1 : 1)),
	);
	const prefix = namespace ? `${namespace}.` : "";
	const each = (make: (type: string, shape: Shape) => Json) =>
		Object.fromEntries(Object.entries(types).map(([type, shape]) => [type, make(type, shape)]));
	return {
		asyncapi: "3.0.0",
		info: {
			title: "The shop's events",
			version,
			description:
				"CloudEvents 1.0 in a JetStream stream, delivered at least once, several in a message: their ids tell what came before. Fields are only ever added, so ignore those that you do not know.",
			license: { name: "MIT" },
		},
		defaultContentType: "application/json",
		channels: each((type) => ({
			address: `${prefix}events.${type}`,
			messages: { [type]: { $ref: `#/components/messages/${type}` } },
		})),
		operations: Object.fromEntries(
			services.flatMap((service) => operations(service, Object.keys(types))),
		),
		components: {
			messages: each((type) => ({
				name: type,
				contentType: BATCH_FORMAT,
				payload: { type: "array", items: event(type) },
			})),
			schemas: {
				...each((_, shape) => withRoomToGrow(objectSchema(shape)) as Json),
				CloudEvent: envelope,
			},
		},
	};
}

function operations(
	{ name, events, subscriptions }: EventService,
	types: readonly string[],
): [string, Json][] {
	const operation = (action: "send" | "receive", type: string): [string, Json] => [
		`${name}.${action}.${type}`,
		{
			action,
			channel: { $ref: `#/channels/${type}` },
			messages: [{ $ref: `#/channels/${type}/messages/${type}` }],
		},
	];
	const heard = types.filter((type) => subscriptions.some((pattern) => matches(pattern, type)));
	return [
		...Object.keys(events).map((type) => operation("send", type)),
		...heard.map((type) => operation("receive", type)),
	];
}

const event = (type: string): Json => ({
	allOf: [
		{ $ref: "#/components/schemas/CloudEvent" },
		{
			type: "object",
			properties: { type: { const: type }, data: { $ref: `#/components/schemas/${type}` } },
		},
	],
});

const text = { type: "string" };
/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md, with the extensions "sequence" and "traceparent". */
const envelope: Json = {
	type: "object",
	required: [
		"specversion",
		"id",
		"source",
		"type",
		"subject",
		"time",
		"datacontenttype",
		"data",
		"sequence",
	],
	properties: {
		specversion: { const: "1.0" },
		id: { type: "string", format: "uuid" },
		source: { ...text, description: "The service that wrote it, /orders for instance" },
		type: text,
		subject: { ...text, description: "The id of what it happened to" },
		time: { type: "string", format: "date-time" },
		datacontenttype: { const: "application/json" },
		traceparent: { ...text, description: "https://www.w3.org/TR/trace-context" },
		sequence: {
			...text,
			pattern: "^\\d{19}$",
			description: "Grows, as text, with the order in which a service wrote its events",
		},
		data: { type: "object" },
	},
};

/** Whoever writes is held to a schema's very fields; whoever reads has to be ready for more. */
function withRoomToGrow(schema: unknown): unknown {
	if (Array.isArray(schema)) return schema.map(withRoomToGrow);
	if (typeof schema !== "object" || schema === null) return schema;
	const entries = Object.entries(schema).filter(
		([key, value]) => key !== "additionalProperties" || value !== false,
	);
	return Object.fromEntries(entries.map(([key, value]) => [key, withRoomToGrow(value)]));
}
