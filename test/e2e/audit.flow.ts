import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { walkAudit } from "../../scripts/audit/walk.ts";
import {
	type Customer,
	cancelOrder,
	makeProduct,
	orderRequest,
	register,
	untilSettled,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, useShop } from "./shape.ts";

/** Inserts a reservation without an order. */
const HELD = `insert into reservations (order_id, status, product_ids, quantities)
	values ($1, 'held', '{}', '{}')`;

export const audit: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	useShop(open, (...started) => {
		[shop, admin] = started;
	});

	/** Violations in all orders, including new ones. */
	const violations = async () => {
		const { violations, skipped } = await walkAudit(shop.call, { quiet: 0, recheck: 0 });
		expect(skipped).toBe(0);
		return violations;
	};

	test("the audit accepts orders with every outcome and reports a wrong record", async () => {
		const client = clientOf(shop, await register(shop));
		const product = await makeProduct(shop, admin);
		const place = (overrides: object = {}) =>
			untilSettled((idempotencyKey) =>
				client.orders.create({ ...orderRequest(product), ...overrides }, { idempotencyKey }),
			);
		const [cancelled, shipped, third, declined, undeliverable] = await Promise.all([
			place(),
			place(),
			place(),
			problemOf(place({ payment_token: "tok_declined" })),
			problemOf(place({ shipping_address: "Undeliverable 1" })),
		]);
		for (const { status } of [cancelled, shipped, third]) expect(status).toBe("confirmed");
		expect([declined.status, undeliverable.status]).toEqual([402, 409]);
		await cancelOrder(client, { id: cancelled.id });
		await clientOf(shop, admin).orders.ship({ id: shipped.id });
		await eventually(async () => expect(await violations()).toEqual([]));

		const id = uuid();
		await shop.databases.query("inventory", HELD, [id]);
		expect(await violations()).toMatchObject([
			{ invariant: "RESERVATION_WITHOUT_ORDER", subject: id },
		]);
		await shop.databases.query("inventory", "delete from reservations where order_id = $1", [id]);
	});

	test("an administrator starts an audit over the API and reads its violations", async () => {
		const id = uuid();
		const { orders } = clientOf(shop, admin);
		await shop.databases.query("inventory", HELD, [id]);
		const since = new Date(Date.now() - 60_000).toISOString();
		const started = await eventually(async () => {
			const { status, value } = await orders.startAudit({ since }).withResponse();
			expect(status).toBe(202);
			return value;
		});
		expect(started).toMatchObject({ status: "running", since, requested_by: admin.id });
		const completed = await eventually(async () => {
			const found = await orders.getAudit({ id: started.id });
			expect(found.status).toBe("completed");
			return found;
		});
		expect(completed.violations).toContainEqual(
			expect.objectContaining({ invariant: "RESERVATION_WITHOUT_ORDER", subject: id }),
		);
		expect(completed.violation_count).toBe(completed.violations.length);
		const listed = await orders.listAudits();
		const { violations: _, ...audit } = completed;
		expect(listed).toContainEqual(audit);
		await shop.databases.query("inventory", "delete from reservations where order_id = $1", [id]);
	});
};
