import { afterEach, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { sourcesOf } from "./refill.ts";

const brokers: ServiceBroker[] = [];
afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.stop())));

/** Starts one node per list of the event types that its version of orders declares. */
async function startVersions(...versions: string[][]): Promise<ServiceBroker> {
	const namespace = uuid();
	for (const types of versions) {
		const broker = new ServiceBroker({
			namespace,
			nodeID: uuid(),
			transporter: "Fake",
			logger: false,
		});
		const events = Object.fromEntries(types.map((type) => [type, {}]));
		broker.createService({ name: "orders", metadata: { events } });
		brokers.push(broker);
		await broker.start();
	}
	const [first] = brokers;
	const services = () => first!.registry.getServiceList({ skipInternal: true });
	await eventually(() => expect(services()).toHaveLength(versions.length));
	return first!;
}

test("the types of a source are those of all versions of its nodes", async () => {
	const [older, newer] = [
		["order.created", "cart.completed"],
		["order.created", "order.future"],
	];
	const types = ["order.created", "order.future"];
	for (const versions of [
		[older!, newer!],
		[newer!, older!],
	]) {
		const broker = await startVersions(...versions);
		const [source, ...others] = sourcesOf(broker, "order.*");
		expect(source).toEqual({ name: "orders", types: expect.arrayContaining(types) });
		expect(source!.types).toHaveLength(2);
		expect(others).toEqual([]);
		await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
	}
});
