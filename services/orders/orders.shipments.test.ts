import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { eventually } from "../../test/support/eventually.ts";
import { publisher, type Shop, startShop } from "../../test/support/shop.ts";
import "../shipping/shipping.contract.ts";
import "./orders.contract.ts";
import { followShipment } from "./orders.shipments.ts";
import { ADVANCE, type SagaRow } from "./orders.statements.ts";
import * as saga from "./saga/statements.ts";

let shop: Shop;
let admin: Customer;
let customer: Customer;
let product: { id: string };
beforeAll(async () => {
	shop = await startShop({
		env: {
			EVENT_BACKOFF: "0.05,0.05,0.1,0.1,0.2,0.5,1,1,1,1",
			// The node claims its own sagas that do not run after this time.
			LEASE_MS: "600000",
		},
	});
	[admin, customer] = [await makeAdmin(shop), await register(shop)];
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(() => shop?.stop());

const db = () => (shop.broker.getLocalService("orders") as unknown as HasDatabase).db;
async function confirmed(): Promise<string> {
	const body = { items: [{ product_id: product.id, quantity: 1 }] };
	const { body: order } = await shop.http("POST /api/orders", { token: customer.token, body });
	expect(order.status).toBe("confirmed");
	return order.id;
}
const status = async (id: string) =>
	(await shop.http(`GET /api/orders/${id}`, { token: customer.token })).body.status;
const reservation = async (id: string) =>
	(
		await shop.databases.query<{ status: string }>(
			"inventory",
			"select status from reservations where order_id = $1",
			[id],
		)
	)[0]?.status;
const publish = (type: "shipment.dispatched" | "shipment.delivered", order_id: string) =>
	publisher(shop.broker, "shipping")(type, order_id, {
		order_id,
		shipment_id: uuid(),
		tracking_number: "1Z",
	});
/** Starts a cancellation without running its saga. Returns the saga's attempt. */
async function beginCancellation(id: string): Promise<number> {
	const values = [shop.broker.nodeID, id, "Changed my mind", null];
	const [row] = await db().query<SagaRow>(saga.BEGIN_CANCELLATION, values);
	return row!.saga_attempt;
}
/** Ends a cancellation as its saga does when it fails: the order is confirmed, without a saga. */
const abort = (id: string, attempt: number) => db().query(saga.ABORT, [[id], [attempt]]);

test("retries a shipment event if a cancellation fails between the two statements", async () => {
	const id = await confirmed();
	const attempt = await beginCancellation(id);
	const event = { subject: id } as never;
	const handle = followShipment("confirmed", "shipped");
	// A statement of the handler's transaction, after which the saga on another connection ends.
	const interrupted = (work: typeof handle) =>
		db().transaction(async (tx) => {
			const query = tx.query.bind(tx);
			const aborting = async (...args: Parameters<typeof query>) => {
				const rows = await query(...args);
				if (args[0] === ADVANCE) await abort(id, attempt);
				return rows;
			};
			await work({ query: aborting } as never, [event]);
		});
	await expect(interrupted(handle)).rejects.toThrow(`Orders cannot become shipped yet: ${id}`);
	await db().transaction((tx) => handle(tx, [event]));
	expect(await status(id)).toBe("shipped");
	await eventually(async () => expect(await reservation(id)).toBe("fulfilled"));
});

test("retries a shipment event until a pending cancellation has failed", async () => {
	const id = await confirmed();
	const attempt = await beginCancellation(id);
	await publish("shipment.dispatched", id);
	await eventually(async () => {
		const [found] = await db().query<{ attempts: number }>(
			"select attempts from retries where event->>'subject' = $1",
			[id],
		);
		expect(found!.attempts).toBeGreaterThan(0);
	});
	await abort(id, attempt);
	await eventually(async () => expect(await status(id)).toBe("shipped"));
	await eventually(async () => expect(await reservation(id)).toBe("fulfilled"));
});

test("applies a delivery that is reported before its dispatch", async () => {
	const id = await confirmed();
	await publish("shipment.delivered", id);
	await eventually(async () => {
		const waiting = await db().query("select 1 from retries where event->>'subject' = $1", [id]);
		expect(waiting).toHaveLength(1);
	});
	expect(await status(id)).toBe("confirmed");
	await publish("shipment.dispatched", id);
	await eventually(async () => expect(await status(id)).toBe("delivered"));
	await eventually(async () => expect(await reservation(id)).toBe("fulfilled"));
});

test("ignores a shipment event about an order that is past it or cancelled", async () => {
	const [shipped, cancelled] = [await confirmed(), await confirmed()];
	await shop.http(`POST /api/orders/${shipped}/ship`, { token: admin.token });
	await shop.http(`POST /api/orders/${cancelled}/cancel`, { token: customer.token });
	const events = [shipped, cancelled].map((subject) => ({ subject })) as never;
	await db().transaction((tx) => followShipment("confirmed", "shipped")(tx, events));
	expect([await status(shipped), await status(cancelled)]).toEqual(["shipped", "cancelled"]);
});
