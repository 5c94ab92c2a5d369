import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Context, Middleware } from "moleculer";
import type { Statement } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/actors.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { HttpResponse } from "../../test/support/http.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./orders.contract.ts";

/** Where an order can be interrupted: on either side of every call to a neighbour, and of every statement that changes the order. */
type Boundary = `${"before" | "after"} ${string}`;
const around = (...names: string[]): Boundary[] =>
	names.flatMap((name): Boundary[] => [`before ${name}`, `after ${name}`]);
const FORWARD: Boundary[] = [
	"after place",
	...around("inventory.reserve", "payments.charge", "shipping.schedule", "complete"),
];
const COMPENSATING = around("turn", "payments.reverse", "inventory.release", "close");
const CANCELLING = around(
	"take_back",
	"shipping.unschedule",
	"payments.reverse",
	"inventory.release",
	"close",
);
const SHIPPING = around("shipping.dispatch", "advance");

/** What happens at a boundary, once. */
let trap: { boundary: Boundary; spring: () => Promise<unknown> } | undefined;
async function pass(boundary: Boundary): Promise<void> {
	if (trap?.boundary !== boundary) return;
	const { spring } = trap;
	trap = undefined;
	await spring();
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
	shop = await startShop({ middlewares: [calls] });
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
	trap = undefined;
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

/** Sets a trap that begins something else, and answers what came of it. `holding` keeps the order at the boundary until that is over. */
function meanwhile(
	boundary: Boundary,
	begin: () => Promise<HttpResponse>,
	holding: boolean,
): () => Promise<HttpResponse> {
	const begun = Promise.withResolvers<Promise<HttpResponse>>();
	trap = {
		boundary,
		async spring() {
			const other = begin();
			begun.resolve(other);
			if (holding) await other;
		},
	};
	return async () => begun.promise;
}
async function settledInOrder(id: string): Promise<void> {
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
/** Either it went well, or it lost the race and was told so. */
const won = ({ status, body }: HttpResponse): boolean => {
	if (status === 409) expect(body.code).toBe("ILLEGAL_TRANSITION");
	else expect(status).toBe(200);
	return status === 200;
};
const both = (boundaries: Boundary[]) =>
	boundaries.flatMap((boundary) => [true, false].map((holding) => [boundary, holding] as const));

test.each(both(FORWARD))(
	"a cancel that comes %s has a winner and a loser (the order waits for it: %s)",
	async (boundary, holding) => {
		// The boundary before the first one of all: nobody knows the order yet.
		const cancelled = meanwhile(boundary, async () => cancel((await newest()).id), holding);
		const placed = await place();
		const cancelWon = won(await cancelled());
		const { id } = await newest();
		expect(await status(id)).toBe(cancelWon ? "cancelled" : "confirmed");
		if (!cancelWon) expect([placed.status, placed.body.status]).toEqual([201, "confirmed"]);
		// Held there the order is never confirmed; else it may be for a moment.
		else if (holding && boundary !== "after complete")
			expect([placed.status, placed.body.code]).toEqual([409, "ORDER_CANCELLED"]);
		await settledInOrder(id);
	},
);

test.each(both(COMPENSATING))(
	"a cancel that comes %s, while the order is being given up, changes nothing (the order waits for it: %s)",
	async (boundary, holding) => {
		const cancelled = meanwhile(boundary, async () => cancel((await newest()).id), holding);
		const placed = await place({ shipping_address: "Undeliverable Road" });
		won(await cancelled());
		const { id } = await newest();
		expect(placed.status).toBe(409);
		expect(await status(id)).toBe("cancelled");
		await settledInOrder(id);
	},
);

test.each(both(CANCELLING))(
	"an order is shipped %s of its cancel: one wins (the cancel waits for it: %s)",
	async (boundary, holding) => {
		const { id } = (await place()).body;
		const shipped = meanwhile(boundary, () => ship(id), holding);
		const cancelWon = won(await cancel(id));
		const shipping = await shipped();
		const shipWon = won(shipping);
		expect([cancelWon, shipWon].filter(Boolean)).toHaveLength(1);
		// As long as a cancel that lost is kept from letting go, the order cannot say that it is shipped.
		if (shipWon && !holding) expect(shipping.body.status).toBe("shipped");
		await eventually(async () =>
			expect(await status(id)).toBe(cancelWon ? "cancelled" : "shipped"),
		);
		await settledInOrder(id);
	},
);

test.each(both(SHIPPING))(
	"an order is cancelled %s, while it is shipped: one wins (shipping waits for it: %s)",
	async (boundary, holding) => {
		const { id } = (await place()).body;
		const cancelled = meanwhile(boundary, () => cancel(id), holding);
		const shipWon = won(await ship(id));
		const cancelWon = won(await cancelled());
		expect([cancelWon, shipWon].filter(Boolean)).toHaveLength(1);
		await eventually(async () =>
			expect(await status(id)).toBe(cancelWon ? "cancelled" : "shipped"),
		);
		await settledInOrder(id);
	},
);

test("ten at once, cancels and ships: each order has one end", async () => {
	const ids = (await Promise.all(Array.from({ length: 10 }, () => place()))).map(
		({ body }) => body.id,
	);
	const ends = await Promise.all(
		ids
			.map(async (id) => [won(await cancel(id)), id] as const)
			.concat(ids.map(async (id) => [won(await ship(id)), id] as const)),
	);
	for (const id of ids) expect(ends.filter(([mine, of]) => mine && of === id)).toHaveLength(1);
	for (const id of ids) await settledInOrder(id);
});
