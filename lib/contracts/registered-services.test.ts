import { expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { registeredServices } from "./registered-services.ts";

test("lists services with their events and subscriptions", async () => {
	const broker = new ServiceBroker({ logger: false });
	const events = { "thing.made": { id: { type: "uuid" } } };
	broker.createService({ name: "things", metadata: { events, subscriptions: ["order.*"] } });
	broker.createService({ name: "plain" });
	await broker.start();
	expect(registeredServices(broker, { onlyAvailable: true })).toEqual([
		{ name: "things", events, subscriptions: ["order.*"] },
		{ name: "plain", events: {}, subscriptions: [] },
	]);
	await broker.stop();
});
