import type { ServiceBroker } from "moleculer";
import { matches } from "../../../lib/contracts/event.ts";
import {
	type RegisteredService,
	registeredServices,
} from "../../../lib/contracts/registered-services.ts";
import { objectSchema, type Shape } from "../../../lib/contracts/schema.ts";
import { BATCH_FORMAT } from "../../../lib/messaging/event-batches.ts";

type Json = Record<string, unknown>;

/** Returns the cluster's services with their events and subscriptions, sorted by name. */
export function eventServices(broker: ServiceBroker): RegisteredService[] {
	const services = registeredServices(broker, { onlyAvailable: true });
	const byName = new Map(services.map((service) => [service.name, service]));
	return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Creates the AsyncAPI 3.0.0 document: a channel per event type, with its senders and receivers.
 */
export function asyncapi(
	services: readonly RegisteredService[],
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
			title: "Events of moleculer-commerce",
			version,
			description:
				"CloudEvents 1.0 in a JetStream stream. Delivery is at least once; " +
				"a message contains one or more events. Use the event's id to detect duplicates. " +
				"Later versions may add fields, so ignore unknown fields.",
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
				...each((_, shape) => allowAdditionalFields(objectSchema(shape)) as Json),
				CloudEvent: envelope,
			},
		},
	};
}

function operations(
	{ name, events, subscriptions }: RegisteredService,
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
	const received = types.filter((type) => subscriptions.some((pattern) => matches(pattern, type)));
	return [
		...Object.keys(events).map((type) => operation("send", type)),
		...received.map((type) => operation("receive", type)),
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
/**
 * CloudEvents JSON format with the extensions "sequence" and "traceparent":
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 */
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
		source: { ...text, description: "Service that published the event, for example /orders" },
		type: text,
		subject: { ...text, description: "ID of the resource that the event is about" },
		time: { type: "string", format: "date-time" },
		datacontenttype: { const: "application/json" },
		traceparent: { ...text, description: "https://www.w3.org/TR/trace-context" },
		sequence: {
			...text,
			pattern: "^\\d{19}$",
			description: "Increases, in text order, with the order in which the service wrote its events",
		},
		data: { type: "object" },
	},
};

/** Removes `additionalProperties: false`: consumers must accept fields of later versions. */
function allowAdditionalFields(schema: unknown): unknown {
	if (Array.isArray(schema)) return schema.map(allowAdditionalFields);
	if (typeof schema !== "object" || schema === null) return schema;
	const entries = Object.entries(schema).filter(
		([key, value]) => key !== "additionalProperties" || value !== false,
	);
	return Object.fromEntries(entries.map(([key, value]) => [key, allowAdditionalFields(value)]));
}
