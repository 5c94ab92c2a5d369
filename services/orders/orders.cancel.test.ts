import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Context, Middleware } from "moleculer";
import type { Statement } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { HttpResponse } from "../../test/support/http.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./orders.contract.ts";

/** Points of interruption: before and after each call to another service and each statement. */
type Boundary = `${"before" | "after"} ${string}`;
const around = (...names: string[]): Boundary[] =>
	names.flatMap((name): Boundary[] => [`before ${name}`, `after ${name}`]);
const FORWARD: Boundary[] = [
	"after place",
	...around("inventory.reserve", "payments.charge", "shipping.schedule", "complete"),
];
const COMPENSATING = around(
	"mark_compensating",
	"payments.reverse",
	"inventory.release",
	"mark_compensated",
);
const CANCELLING = around(
	"begin_cancellation",
	"shipping.unschedule",
	"payments.reverse",
	"inventory.release",
	"mark_compensated",
);
const SHIPPING = around("shipping.dispatch", "advance");

/** Runs once, at its boundary. */
let interruption: { boundary: Boundary; run: () => Promise<unknown> } | undefined;
async function pass(boundary: Boundary): Promise<void> {
	if (interruption?.boundary !== boundary) return;
	const { run } = interruption;
	interruption = undefined;
	await run();
}
const calls = {
	name: "Boundaries",
	localAction:
		(next: (ctx: Context) => Promise<unknown>, { name }: { name: string }) =>
		async (ctx: Context) => {
			await pass(`before ${name}`);
			const result = await next(ctx);
			await pass(`after ${name}`);
			return result;
		},
} as unknown as Middleware;

let shop: Shop;
let admin: Customer;
let customer: Customer;
let product: { id: string };
beforeAll(async () => {
	// For 20 requests at the same time, which wait for each other.
	shop = await startShop({ middlewares: [calls], env: { DATABASE_POOL: "15" } });
	const { db } = shop.broker.getLocalService("orders") as unknown as HasDatabase;
	const query = db.query.bind(db);
	db.query = (async (statement: Statement | string, values?: readonly unknown[]) => {
		const name = typeof statement === "string" ? "" : statement.name;
		await pass(`before ${name}`);
		const rows = await query(statement, values);
		await pass(`after ${name}`);
		return rows;
	}) as typeof db.query;
	[admin, customer] = [await makeAdmin(shop), await register(shop)];
	product = await makeProduct(shop, admin, { stock: 10_000 });
});
afterAll(() => shop?.stop());
beforeEach(() => {
	interruption = undefined;
});

const place = (over: object = {}) =>
	shop.http("POST /api/orders", {
		token: customer.token,
		body: { items: [{ product_id: product.id, quantity: 1 }], ...over },
	});
const cancel = (id: string) =>
	shop.http(`POST /api/orders/${id}/cancel`, { token: customer.token });
const ship = (id: string) => shop.http(`POST /api/orders/${id}/ship`, { token: admin.token });
const newest = async () =>
	(await shop.http("GET /api/orders?limit=1", { token: customer.token })).body[0];
const status = async (id: string) =>
	(await shop.http(`GET /api/orders/${id}`, { token: customer.token })).body.status;

/**
 * Returns a function that cancels the next order, and first waits for its row: stock is reserved
 * while the row is written, so at a boundary of the reservation it may not exist yet.
 */
async function cancellationOfNext(): Promise<() => Promise<HttpResponse>> {
	const before = (await newest())?.id;
	return async () =>
		cancel(
			await eventually(async () => {
				const { id } = await newest();
				expect(id).not.toBe(before);
				return id;
			}),
		);
}

/**
 * Starts another request at the boundary, and returns its response. With `holding` the order waits
 * at the boundary for the end of that request.
 */
function meanwhile(
	boundary: Boundary,
	start: () => Promise<HttpResponse>,
	holding: boolean,
): () => Promise<HttpResponse> {
	const started = Promise.withResolvers<Promise<HttpResponse>>();
	interruption = {
		boundary,
		async run() {
			const other = start();
			started.resolve(other);
			if (holding) await other;
		},
	};
	return async () => started.promise;
}
async function expectConsistent(id: string): Promise<void> {
	await eventually(async () => {
		const { violations, skipped } = await shop.call("orders.audit", { quiet: 0, recheck: 0 });
		expect({
			skipped,
			violations: violations.filter(({ subject }) => subject === id || subject === product.id),
		}).toEqual({
			skipped: 0,
			violations: [],
		});
	});
}
/** Whether a request won the race. The loser receives ILLEGAL_TRANSITION. */
const won = ({ status, body }: HttpResponse): boolean => {
	if (status === 409) expect(body.code).toBe("ILLEGAL_TRANSITION");
	else expect(status).toBe(200);
	return status === 200;
};
const both = (boundaries: Boundary[]) =>
	boundaries.flatMap((boundary) => [true, false].map((holding) => [boundary, holding] as const));

test.each(both(FORWARD))(
	"a cancellation %s, during the saga: exactly one wins (order waits: %s)",
	async (boundary, holding) => {
		const cancelled = meanwhile(boundary, await cancellationOfNext(), holding);
		const placed = await place();
		const cancelWon = won(await cancelled());
		const { id } = await newest();
		expect(await status(id)).toBe(cancelWon ? "cancelled" : "confirmed");
		if (!cancelWon) expect([placed.status, placed.body.status]).toEqual([201, "confirmed"]);
		// An order that waits is never confirmed; otherwise it can be confirmed for a moment.
		else if (holding && boundary !== "after complete")
			expect([placed.status, placed.body.code]).toEqual([409, "ORDER_CANCELLED"]);
		await expectConsistent(id);
	},
);

test.each(both(COMPENSATING))(
	"a cancellation %s, during the compensation, changes nothing (order waits: %s)",
	async (boundary, holding) => {
		const cancelled = meanwhile(boundary, await cancellationOfNext(), holding);
		const placed = await place({ shipping_address: "Undeliverable Road" });
		won(await cancelled());
		const { id } = await newest();
		expect(placed.status).toBe(409);
		expect(await status(id)).toBe("cancelled");
		await expectConsistent(id);
	},
);

test.each(both(CANCELLING))(
	"shipping %s, during a cancellation: exactly one wins (cancellation waits: %s)",
	async (boundary, holding) => {
		const { id } = (await place()).body;
		const shipped = meanwhile(boundary, () => ship(id), holding);
		const cancelWon = won(await cancel(id));
		const shipping = await shipped();
		const shipWon = won(shipping);
		expect([cancelWon, shipWon].filter(Boolean)).toHaveLength(1);
		// While the losing cancellation waits, its saga holds the order, which cannot become shipped.
		if (shipWon && !holding) expect(shipping.body.status).toBe("shipped");
		await eventually(async () =>
			expect(await status(id)).toBe(cancelWon ? "cancelled" : "shipped"),
		);
		await expectConsistent(id);
	},
);

test.each(both(SHIPPING))(
	"a cancellation %s, during shipping: exactly one wins (shipping waits: %s)",
	async (boundary, holding) => {
		const { id } = (await place()).body;
		const cancelled = meanwhile(boundary, () => cancel(id), holding);
		const shipWon = won(await ship(id));
		const cancelWon = won(await cancelled());
		expect([cancelWon, shipWon].filter(Boolean)).toHaveLength(1);
		await eventually(async () =>
			expect(await status(id)).toBe(cancelWon ? "cancelled" : "shipped"),
		);
		await expectConsistent(id);
	},
);

test("of concurrent cancellations and shipments, exactly one wins per order", async () => {
	const ids = (await Promise.all(Array.from({ length: 10 }, () => place()))).map(
		({ body }) => body.id,
	);
	const ends = await Promise.all(
		ids
			.map(async (id) => [won(await cancel(id)), id] as const)
			.concat(ids.map(async (id) => [won(await ship(id)), id] as const)),
	);
	for (const id of ids)
		expect(ends.filter(([winner, order]) => winner && order === id)).toHaveLength(1);
	for (const id of ids) await expectConsistent(id);
});
