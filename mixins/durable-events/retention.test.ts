import { afterEach, expect, test } from "@jest/globals";
import { Errors, type ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import { contract } from "../../lib/contracts/contract.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { orders } from "../../services/orders/orders.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { database } from "../database.mixin.ts";
import { durableEvents } from "../durable-events.mixin.ts";
import { oldestRetainedEvent } from "./retention.ts";

let shop: Shop | undefined;
afterEach(() => shop?.stop());

const start = async (...stubs: ServiceSchema[]): Promise<Shop> => {
	shop = await startShop({ services: [], stubs });
	return shop;
};
const producers = () => [
	stub(orders, {}, database, durableEvents),
	stub(users, {}, database, durableEvents),
];
const BOTH = ["order.*", "user.created"];

test("returns the oldest event of all producers", async () => {
	const { broker, databases } = await start(...producers());
	expect(await oldestRetainedEvent({ broker: broker as never }, BOTH)).toBeNull();
	const id = uuid();
	await publisher(broker, "orders")("order.created", id, {
		order_id: id,
		user_id: id,
		total_amount: 1,
		currency: "EUR",
	});
	await publisher(broker, "users")("user.created", id, {
		user_id: id,
		email: "a@example.com",
		full_name: "A",
	});
	await databases.query("orders", "update outbox set time = '2026-01-01T00:00:00Z'");
	await databases.query("users", "update outbox set time = '2025-01-01T00:00:00Z'");
	expect(await oldestRetainedEvent({ broker: broker as never }, BOTH)).toBe(
		"2025-01-01T00:00:00.000Z",
	);
	expect(await oldestRetainedEvent({ broker: broker as never }, ["order.created"])).toBe(
		"2026-01-01T00:00:00.000Z",
	);
});

test("returns undefined while a producer is missing or does not respond", async () => {
	const silent = defineService(contract({ name: "users", actions: {}, events: users.events }))({
		actions: {},
	});
	const oldestEvent = () =>
		Promise.reject(new Errors.RequestTimeoutError({ action: "users.oldestEvent", nodeID: "node" }));
	const [producer] = producers();
	const { broker } = await start(producer!, {
		...silent,
		actions: { oldestEvent },
	} as ServiceSchema);
	expect(
		await oldestRetainedEvent({ broker: broker as never }, ["shipment.delivered", "order.*"]),
	).toBeUndefined();
	expect(await oldestRetainedEvent({ broker: broker as never }, BOTH)).toBeUndefined();
	expect(await oldestRetainedEvent({ broker: broker as never }, ["order.*"])).toBeNull();
});
