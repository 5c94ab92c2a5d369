import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { cacheOf } from "../lib/caching/lease-cache.ts";
import { contract, type Meta } from "../lib/contracts/contract.ts";
import { defineService } from "../lib/service/define-service.ts";
import { admin, type Shop, startShop } from "../test/support/shop.ts";

const params = {
	q: { type: "string", optional: true, nullable: true },
	n: { type: "number", convert: true, default: 1 },
} as const;
const kept = { params, returns: { type: "any" }, cache: { ttl: 60_000 } } as const;
const things = contract({
	name: "things",
	actions: {
		list: { ...kept, auth: "anyone" },
		mine: { ...kept, auth: "user" },
		all: { ...kept, auth: "admin" },
		inner: kept,
	},
});

let asked: string[];
let shop: Shop;
const made = async ({ params, meta: { user } }: { params: object; meta: Meta }) => {
	asked.push(JSON.stringify(params));
	return `${user?.role ?? "nobody"} ${user?.id ?? ""} asked for ${JSON.stringify(params)}`;
};
beforeAll(async () => {
	shop = await startShop({
		services: [],
		stubs: [defineService(things)({ actions: { list: made, mine: made, all: made, inner: made } })],
	});
});
afterAll(() => shop?.stop());
beforeEach(async () => {
	asked = [];
	await change();
});
const change = () =>
	cacheOf(shop.broker)
		.of("things", 1000)
		.whileInvalidated([], async () => undefined);
const ask = (action: keyof typeof things.actions, params: object = {}, user?: Meta["user"]) =>
	shop.broker.call<string, object>(`things.${action}`, params, { meta: { user } });

test("an answer is made once for the same parameters, after they were checked and brought into form", async () => {
	const first = await ask("list", { n: "2" });
	expect(await ask("list", { n: 2 })).toBe(first);
	expect(asked).toEqual(['{"n":2}']);
	// What its contract does not know makes no difference.
	expect(await ask("list", { n: 2, more: true })).toBe(first);
	await expect(ask("list", { n: "many" })).rejects.toMatchObject({ code: 422 });
	for (const params of [{ n: 3 }, { q: "2" }, { q: null }, {}]) await ask("list", params);
	expect(asked).toHaveLength(5);
});

test("an answer is made anew after a change of the service's rows", async () => {
	await ask("list");
	await change();
	await ask("list");
	expect(asked).toHaveLength(2);
});

test("only what anybody may ask for is shared; everything else is kept for its caller and the role that he has now", async () => {
	const customer = { ...admin!, role: "user" as const };
	const other = { ...customer, id: "019a0000-0000-7000-8000-00000000000b" };
	for (const user of [admin, customer, other]) await ask("list", {}, user);
	expect(asked).toHaveLength(1);
	for (const action of ["mine", "inner"] as const) {
		for (const user of [admin, customer, other])
			expect(await ask(action, {}, user)).toContain(`${user!.role} ${user!.id}`);
		expect(await ask(action, {}, other)).toContain(other.id);
	}
	expect(asked).toHaveLength(7);
});

test("an answer that is kept is given to nobody who may not have it", async () => {
	await ask("all", {}, admin);
	await expect(ask("all", {}, { ...admin!, role: "user" })).rejects.toMatchObject({
		type: "FORBIDDEN",
	});
	await expect(ask("all")).rejects.toMatchObject({ type: "UNAUTHENTICATED" });
	await expect(ask("mine")).rejects.toMatchObject({ type: "UNAUTHENTICATED" });
});
