import { createRequire } from "node:module";
import { expect, test } from "@jest/globals";
import { Ajv, type AnySchema } from "ajv";
import { v7 as uuid } from "uuid";
import { type Shape, shape } from "../../../lib/contracts/schema.ts";
import { startShop } from "../../../test/support/shop.ts";
import { asyncapi } from "./asyncapi.ts";

// Its own references are by "$id" of the real place, where nothing is fetched from here.
const specification = createRequire(import.meta.url)(
	"@asyncapi/specs/schemas/3.0.0-without-$id.json",
) as AnySchema;
const ajv = () => new Ajv({ strict: false, validateFormats: false, allErrors: true });

const confirmed = shape({ order_id: { type: "uuid" }, total_amount: { type: "money" } });
const services = [
	{
		name: "orders",
		events: { "order.confirmed": confirmed, "order.shipped": confirmed } as Record<string, Shape>,
		subscriptions: ["shipment.*"],
	},
	{
		name: "shipping",
		events: { "shipment.dispatched": shape({ order_id: { type: "uuid" } }) },
		subscriptions: ["order.confirmed"],
	},
];
interface Document {
	channels: Record<string, { address: string }>;
	operations: Record<string, object>;
	components: { messages: Record<string, { payload: object }> };
}
const made = asyncapi(services, { version: "1.2.3", namespace: "blue" }) as unknown as Document;

test("serves a valid AsyncAPI document with every event's sender and receivers", async () => {
	const shop = await startShop();
	try {
		const { status, headers, body } = await shop.http("GET /asyncapi.json");
		expect([status, headers.get("content-type")]).toEqual([200, expect.stringContaining("json")]);
		const check = ajv().compile(specification);
		check(body);
		expect(check.errors).toBeNull();
		const document = body as Document;
		expect(document.channels["order.confirmed"]).toMatchObject({
			address: "events.order.confirmed",
		});
		expect(Object.keys(document.operations)).toEqual(
			expect.arrayContaining([
				"orders.send.order.confirmed",
				"notifications.receive.order.confirmed",
				"users.send.user.created",
			]),
		);
	} finally {
		await shop.stop();
	}
});

test("lists a receive operation for each event type that a pattern matches", () => {
	expect(Object.keys(made.operations).sort()).toEqual([
		"orders.receive.shipment.dispatched",
		"orders.send.order.confirmed",
		"orders.send.order.shipped",
		"shipping.receive.order.confirmed",
		"shipping.send.shipment.dispatched",
	]);
	expect(made.channels["shipment.dispatched"]).toMatchObject({
		address: "blue.events.shipment.dispatched",
	});
});

test("describes a message as a batch of CloudEvents that may have additional fields", () => {
	const check = ajv()
		.addSchema(made, "asyncapi")
		.compile({ $ref: "asyncapi#/components/messages/order.confirmed/payload" });
	const event = {
		specversion: "1.0",
		id: uuid(),
		source: "/orders",
		type: "order.confirmed",
		subject: uuid(),
		time: new Date().toISOString(),
		datacontenttype: "application/json",
		sequence: "0000000000000000001",
		data: { order_id: uuid(), total_amount: 5 },
	};
	expect(check([event, event])).toBe(true);
	expect(check([{ ...event, data: { ...event.data, gift: true } }])).toBe(true);
	expect(check([event, { ...event, data: { order_id: uuid() } }])).toBe(false);
	expect(check([{ ...event, type: "order.shipped" }])).toBe(false);
	expect(check(event)).toBe(false);
	expect(made.components.messages["order.confirmed"]).toMatchObject({
		contentType: "application/cloudevents-batch+json",
	});
});
