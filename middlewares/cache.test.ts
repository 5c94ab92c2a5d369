import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { cacheOf } from "../lib/caching/lease-cache.ts";
import { contract, type Meta } from "../lib/contracts/contract.ts";
import { defineService } from "../lib/service/define-service.ts";
import { admin, type Shop, startShop } from "../test/support/shop.ts";

const params = {
	q: { type: "string", optional: true, nullable: true },
	n: { type: "number", convert: true, default: 1 },
} as const;
const cached = { params, returns: { type: "any" }, cache: { ttl: 60_000 } } as const;
const things = contract({
	name: "things",
	actions: {
		list: { ...cached, auth: "anyone" },
		mine: { ...cached, auth: "user" },
		all: { ...cached, auth: "admin" },
		inner: cached,
	},
});

let received: string[];
let shop: Shop;
const handler = async ({ params, meta: { user } }: { params: object; meta: Meta }) => {
	received.push(JSON.stringify(params));
	return `${user?.role ?? "nobody"} ${user?.id ?? ""} received for ${JSON.stringify(params)}`;
};
beforeAll(async () => {
	shop = await startShop({
		services: [],
		stubs: [
			defineService(things)({
				actions: { list: handler, mine: handler, all: handler, inner: handler },
			}),
		],
	});
});
afterAll(() => shop?.stop());
beforeEach(async () => {
	received = [];
	await change();
});
const change = () =>
	cacheOf(shop.broker)
		.of("things", 1000)
		.whileInvalidated([], async () => undefined);
const call = (action: keyof typeof things.actions, params: object = {}, user?: Meta["user"]) =>
	shop.broker.call<string, object>(`things.${action}`, params, { meta: { user } });

test("a result is made once for the same validated parameters", async () => {
	const first = await call("list", { n: "2" });
	expect(await call("list", { n: 2 })).toBe(first);
	expect(received).toEqual(['{"n":2}']);
	// Parameters outside the contract make no difference.
	expect(await call("list", { n: 2, more: true })).toBe(first);
	await expect(call("list", { n: "many" })).rejects.toMatchObject({ code: 422 });
	for (const params of [{ n: 3 }, { q: "2" }, { q: null }, {}]) await call("list", params);
	expect(received).toHaveLength(5);
});

test("a result is made again after a change of the service's rows", async () => {
	await call("list");
	await change();
	await call("list");
	expect(received).toHaveLength(2);
});

test("public results are shared; others are cached per caller and current role", async () => {
	const customer = { ...admin!, role: "user" as const };
	const other = { ...customer, id: "019a0000-0000-7000-8000-00000000000b" };
	for (const user of [admin, customer, other]) await call("list", {}, user);
	expect(received).toHaveLength(1);
	for (const action of ["mine", "inner"] as const) {
		for (const user of [admin, customer, other])
			expect(await call(action, {}, user)).toContain(`${user!.role} ${user!.id}`);
		expect(await call(action, {}, other)).toContain(other.id);
	}
	expect(received).toHaveLength(7);
});

test("a cached result is not returned to callers without access", async () => {
	await call("all", {}, admin);
	await expect(call("all", {}, { ...admin!, role: "user" })).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	await expect(call("all")).rejects.toMatchObject({ type: "UNAUTHENTICATED" });
	await expect(call("mine")).rejects.toMatchObject({ type: "UNAUTHENTICATED" });
});
