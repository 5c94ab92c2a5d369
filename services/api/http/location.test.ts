import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Ctx } from "../../../lib/contracts/contract.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { orderRecord } from "../../../test/support/records.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { orders } from "../../orders/orders.contract.ts";

const order = (ctx: Ctx, status: 201 | 202, id = uuid()) => {
	ctx.meta.$statusCode = status;
	return orderRecord({ id, user_id: ctx.meta.user!.id });
};
let shop: Shop;
let user: string;
beforeAll(async () => {
	shop = await startShop({
		services: ["api"],
		stubs: [
			...stubbedServices().filter(({ name }) => name !== "orders"),
			stub(orders, {
				create: async (ctx) => order(ctx, ctx.meta.respond_async ? 202 : 201),
				cancel: async (ctx) => order(ctx, 202, ctx.params.id),
			}),
		],
	});
	user = token(shop.env);
});
afterAll(() => shop?.stop());

const body = { items: [{ product_id: uuid(), quantity: 1 }] };

test("sends the Location of a created or accepted resource", async () => {
	const created = await shop.http("POST /api/orders/", { token: user, body });
	expect([created.status, created.headers.get("location")]).toEqual([
		201,
		`/api/orders/${created.body.id}`,
	]);
	expect(created.headers.get("preference-applied")).toBeNull();
	const accepted = await shop.http("POST /api/orders", {
		token: user,
		body,
		headers: { prefer: "respond-async" },
	});
	expect([accepted.status, accepted.headers.get("location")]).toEqual([
		202,
		`/api/orders/${accepted.body.id}`,
	]);
	expect(accepted.headers.get("preference-applied")).toBe("respond-async");
});

test("sends the resource's Location for an accepted action on it", async () => {
	const id = uuid();
	const { status, headers } = await shop.http(`POST /api/orders/${id}/cancel/`, {
		token: user,
		body: {},
	});
	expect([status, headers.get("location")]).toEqual([202, `/api/orders/${id}`]);
});
