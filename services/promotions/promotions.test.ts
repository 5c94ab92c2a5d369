import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { MAX_AUTOMATIC } from "../../lib/pricing/limits.ts";
import { LEAST_MAX_PAYLOAD } from "../../lib/resilience/message-size.ts";
import { admin, asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import { newOrder, promotionsOf, tenPercent, times } from "./test/commands.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["promotions"] });
});
afterAll(() => shop?.stop());

const { create, update, remove, get, redeem, release } = promotionsOf(() => shop);
/** Expects a call to fail because of a field. */
async function expectInvalid(call: Promise<unknown>, field: string): Promise<void> {
	const error = await call.then(
		() => null,
		(rejection) => rejection,
	);
	expect(error).toMatchObject({ type: "VALIDATION_ERROR", code: 422 });
	// Violations of the contract are a list, until the gateway responds.
	expect([error.data.errors ?? error.data].flat()).toEqual([expect.objectContaining({ field })]);
}
const newCode = () => `C-${uuid()}`;
const resolve = (...codes: string[]) => shop.call("promotions.resolve", { codes });
const automatic = async () =>
	(await shop.call("promotions.automatic")).map(({ id }: { id: string }) => id);

test("creates a promotion with defaults and with all fields", async () => {
	const created = await create();
	expect(created).toEqual({
		id: created.id,
		name: "Ten percent",
		code: null,
		starts_at: null,
		ends_at: null,
		priority: 0,
		combinable: true,
		currency: "EUR",
		conditions: {},
		effect: tenPercent,
		usage_limit: null,
		usage_limit_per_customer: null,
		budget: null,
		used: 0,
		spent: 0,
		is_exhausted: false,
		created_at: expect.any(String),
		updated_at: expect.any(String),
	});
	expect(await get(created.id)).toEqual(created);
	const fields = {
		name: "Summer",
		code: newCode(),
		starts_at: "2026-06-01T00:00:00.000Z",
		ends_at: "2026-09-01T00:00:00.000Z",
		priority: -5,
		combinable: false,
		currency: "BHD",
		conditions: {
			min_subtotal: 20.005,
			product_ids: [uuid()],
			categories: ["Kitchen/Knives"],
			first_order: true,
			user_ids: [uuid()],
		},
		effect: { type: "amount_off", value: 1.125 },
		usage_limit: 100,
		usage_limit_per_customer: 2,
		budget: 99.995,
	};
	const full = await create(fields);
	expect(full).toMatchObject(fields);
	expect(await get(full.id)).toEqual(full);
});

describe("rejects", () => {
	test.each([
		["an unknown currency", { currency: "ZZZ" }, "currency"],
		["a code with other characters", { code: "10 %" }, "code"],
		["a percentage of zero", { effect: { type: "percent_off", value: 0 } }, "effect.value"],
		["more than 100 percent", { effect: { type: "percent_off", value: 100.1 } }, "effect.value"],
		["a missing percentage", { effect: { type: "percent_off" } }, "effect.value"],
		["five decimals", { effect: { type: "percent_off", value: 0.00001 } }, "effect.value"],
		["an amount of zero", { effect: { type: "amount_off", value: 0 } }, "effect.value"],
		["a missing amount", { effect: { type: "amount_off" } }, "effect.value"],
		["too many decimals", { effect: { type: "amount_off", value: 1.005 } }, "effect.value"],
		["a value of free shipping", { effect: { type: "free_shipping", value: 1 } }, "effect.value"],
		["no `buy`", { effect: { type: "buy_x_get_y", get: 1 } }, "effect.buy"],
		["no `get`", { effect: { type: "buy_x_get_y", buy: 1 } }, "effect.get"],
		["`get` of a percentage", { effect: { ...tenPercent, get: 1 } }, "effect.get"],
		["an unknown effect", { effect: { type: "gift" } }, "effect.type"],
		[
			"an end that is not after the start",
			{ starts_at: "2026-06-01T00:00:00Z", ends_at: "2026-06-01T00:00:00Z" },
			"ends_at",
		],
		["decimals of the budget", { currency: "JPY", budget: 1.5 }, "budget"],
		["decimals of a condition", { conditions: { min_subtotal: 0.001 } }, "conditions.min_subtotal"],
		["an empty category", { conditions: { categories: ["A//B"] } }, "conditions.categories[0]"],
		["an unknown condition", { conditions: { country: "DE" } }, "conditions"],
		["a limit of zero", { usage_limit: 0 }, "usage_limit"],
		["a priority that is not an integer", { priority: 0.5 }, "priority"],
	])("%s", async (_, fields, field) => {
		const { length } = await shop.databases.query("promotions", "select from promotions");
		await expectInvalid(create(fields), field);
		expect(await shop.databases.query("promotions", "select from promotions")).toHaveLength(length);
	});
});

test("accepts every effect", async () => {
	for (const effect of [
		{ type: "percent_off", value: 100 },
		{ type: "percent_off", value: 33.3333 },
		{ type: "amount_off", value: 9_999_999_999.99 },
		{ type: "free_shipping" },
		{ type: "buy_x_get_y", buy: 2, get: 1 },
	])
		expect((await create({ effect })).effect).toEqual(effect);
});

test("removes spaces around the parts of a category", async () => {
	const { conditions } = await create({ conditions: { categories: [" Kitchen / Knives "] } });
	expect(conditions).toEqual({ categories: ["Kitchen/Knives"] });
});

test("codes are unique regardless of case, among promotions that exist", async () => {
	const code = newCode();
	const { id } = await create({ code });
	const taken = { type: "CODE_TAKEN", code: 409 };
	await expect(create({ code: code.toUpperCase() })).rejects.toMatchObject(taken);
	const other = await create({ code: newCode() });
	await expect(update(other.id, { code: code.toLowerCase() })).rejects.toMatchObject(taken);
	expect((await get(other.id)).code).toBe(other.code);
	// A promotion can change the case of its own code.
	expect((await update(id, { code: code.toUpperCase() })).code).toBe(code.toUpperCase());
	await remove(id);
	expect(await update(other.id, { code })).toMatchObject({ code });
	const all = await Promise.allSettled([1, 2, 3, 4, 5].map(() => create({ code: `${code}-2` })));
	expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("an update changes the named fields and replaces conditions and effect", async () => {
	const created = await create({
		code: newCode(),
		conditions: { min_subtotal: 10, first_order: true },
		budget: 100,
	});
	const { id } = created;
	expect(await update(id, { name: "Other", conditions: { min_subtotal: 5 } })).toEqual({
		...created,
		name: "Other",
		conditions: { min_subtotal: 5 },
		updated_at: expect.any(String),
	});
	const changes = {
		effect: { type: "free_shipping" },
		code: null,
		budget: null,
		conditions: {},
		ends_at: "2030-01-01T00:00:00.000Z",
	};
	expect(await update(id, changes)).toMatchObject(changes);
	expect(await get(id)).toMatchObject(changes);
});

test("an update is checked together with the fields that stay", async () => {
	const { id } = await create({
		ends_at: "2026-06-01T00:00:00Z",
		effect: { type: "amount_off", value: 1.5 },
	});
	const wrong: [object, string][] = [
		[{ starts_at: "2026-07-01T00:00:00Z" }, "ends_at"],
		[{ effect: { type: "amount_off", value: 1.505 } }, "effect.value"],
		[{ effect: { type: "percent_off" } }, "effect.value"],
		[{}, ""],
	];
	for (const [changes, field] of wrong) await expectInvalid(update(id, changes), field);
	const changes = { starts_at: null, effect: { type: "amount_off", value: 150 } };
	expect(await update(id, changes)).toMatchObject(changes);
});

test("the currency never changes: an order may be priced and not redeemed yet", async () => {
	const created = await create({ effect: { type: "amount_off", value: 5 }, budget: 1000 });
	const { id } = created;
	const priced = newOrder([id]);
	const toYen = () => update(id, { currency: "JPY", name: "Yen" });
	await expectInvalid(toYen(), "currency");
	expect(await get(id)).toEqual(created);
	await redeem(priced);
	expect(await get(id)).toMatchObject({ currency: "EUR", used: 1, spent: 5 });
	await expectInvalid(toYen(), "currency");
	expect(await update(id, { currency: "EUR", name: "Euro" })).toMatchObject({ name: "Euro" });
});

test("a deleted promotion is not found, and its redemptions can be released", async () => {
	const { id } = await create();
	const order = newOrder([id]);
	await redeem(order);
	await remove(id);
	const missing = { type: "PROMOTION_NOT_FOUND", code: 404 };
	for (const call of [get(id), remove(id), update(id, { name: "Other" }), get(uuid())])
		await expect(call).rejects.toMatchObject(missing);
	const counters = () =>
		shop.databases.query("promotions", "select used, spent from promotions where id = $1", [id]);
	expect(await counters()).toEqual([{ used: 1, spent: "5" }]);
	expect(await release(order)).toEqual([{ status: "done" }]);
	expect(await counters()).toEqual([{ used: 0, spent: "0" }]);
});

test("lists promotions newest first, in pages, without deleted ones", async () => {
	const [first, second, third] = [await create(), await create(), await create()];
	await remove(second.id);
	const { rows, total } = await shop.call("promotions.list", { limit: 2 }, asAdmin);
	expect(rows).toEqual([third, first]);
	const next = await shop.call("promotions.list", { skip: 1, limit: 1 }, asAdmin);
	expect(next).toEqual({ rows: [first], total });
});

test("only an admin can read and change promotions", async () => {
	const { id } = await create();
	const asUser = { meta: { user: { ...admin!, role: "user" as const } } };
	for (const [options, type] of [
		[undefined, "UNAUTHENTICATED"],
		[asUser, "FORBIDDEN"],
	] as const) {
		for (const call of [
			shop.call("promotions.list", {}, options),
			shop.call("promotions.get", { id }, options),
			shop.call("promotions.create", { name: "Mine", effect: tenPercent }, options),
			shop.call("promotions.update", { id, name: "Mine" }, options),
			shop.call("promotions.remove", { id }, options),
		])
			await expect(call).rejects.toMatchObject({ type });
	}
});

describe("for pricing", () => {
	const future = "2100-01-01T00:00:00.000Z";
	const past = "2020-01-01T00:00:00.000Z";

	test("automatic promotions have no code and have not ended", async () => {
		const [low, high, later] = [
			await create({ priority: 1 }),
			await create({ priority: 2 }),
			await create({ starts_at: future }),
		];
		const others = [await create({ ends_at: past }), await create({ code: newCode() })];
		const ids = await automatic();
		expect(ids.filter((id) => [low.id, high.id].includes(id))).toEqual([high.id, low.id]);
		expect(ids).toContain(later.id);
		for (const { id } of others) expect(ids).not.toContain(id);
		await update(low.id, { code: newCode() });
		await remove(high.id);
		const [ended] = [await update(later.id, { starts_at: null, ends_at: past })];
		for (const { id } of [low, high, ended]) expect(await automatic()).not.toContain(id);
	});

	test("codes are resolved in their order and regardless of case", async () => {
		const [code, other, unknown] = [newCode(), newCode(), newCode()];
		expect(await resolve(code, unknown)).toEqual([null, null]);
		const created = await create({ code, starts_at: future });
		await create({ code: other, ends_at: past });
		const { used: _, spent: __, created_at: ___, updated_at: ____, ...applicable } = created;
		expect(await resolve(other, code.toUpperCase(), unknown, code)).toEqual([
			null,
			applicable,
			null,
			applicable,
		]);
		await update(created.id, { name: "Other", code: other.slice(0, 20) });
		expect(await resolve(code, other.slice(0, 20))).toEqual([
			null,
			expect.objectContaining({ id: created.id, name: "Other" }),
		]);
		await remove(created.id);
		expect(await resolve(other.slice(0, 20))).toEqual([null]);
	});

	test("results change with `is_exhausted`, and not with the number of uses", async () => {
		const code = newCode();
		const { id } = await create({ code, usage_limit: 2 });
		const isExhausted = async () => (await resolve(code))[0]!.is_exhausted;
		const [first, second] = [newOrder([id]), newOrder([id])];
		expect(await isExhausted()).toBe(false);
		await redeem(first);
		expect(await isExhausted()).toBe(false);
		await redeem(second);
		expect(await isExhausted()).toBe(true);
		await release(first);
		expect(await isExhausted()).toBe(false);
		await redeem(newOrder([id]), newOrder([id]));
		expect(await isExhausted()).toBe(true);
		await update(id, { usage_limit: 3 });
		expect(await isExhausted()).toBe(false);
	});

	test("`usage` counts the orders of each customer", async () => {
		const [a, b] = [await create(), await create({ usage_limit_per_customer: 2 })];
		const [customer, guest] = [uuid(), "guest@example.com"];
		const order = newOrder([a.id, b.id], { customer });
		await redeem(order, newOrder([b.id], { customer }), newOrder([a.id], { customer: guest }));
		const usage = (...uses: [string, string][]) =>
			shop.call("promotions.usage", {
				uses: uses.map(([customer, promotion_id]) => ({ customer, promotion_id })),
			});
		const all = (): Promise<number[]> =>
			usage([customer, b.id], [guest, b.id], [customer, a.id], [guest, a.id], [customer, b.id]);
		expect(await all()).toEqual([2, 0, 1, 1, 2]);
		await release(order);
		expect(await all()).toEqual([1, 0, 0, 1, 1]);
		expect(await usage()).toEqual([]);
	});
});

test("limits the automatic promotions, which all carts are priced with", async () => {
	const tooMany = { type: "TOO_MANY_AUTOMATIC", code: 409 };
	const conditions = { user_ids: Array.from({ length: 1000 }, () => uuid()) };
	const long: string[] = [];
	for (let i = 0; i < 9; i++) long.push((await create({ conditions })).id);
	await expect(create({ conditions })).rejects.toMatchObject(tooMany);
	for (const id of long) await update(id, { code: newCode() });
	// The limit is one of bytes: one message contains all of them.
	const branches = Array.from({ length: 100 }, (_, i) => `${"厨".repeat(97)}${100 + i}`);
	const wide = times(14, () => create({ conditions: { categories: branches } }));
	const results = await Promise.allSettled(wide);
	expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(13);
	const message = JSON.stringify(await automatic());
	expect(Buffer.byteLength(message)).toBeLessThan(LEAST_MAX_PAYLOAD);
	for (const result of results)
		if (result.status === "fulfilled") await update(result.value.id, { code: newCode() });
	const existing = (await automatic()).length;
	for (let i = existing; i < MAX_AUTOMATIC - 1; i++) await create();
	const last = await Promise.allSettled(times(10, () => create()));
	expect(last.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
	for (const { reason } of last.filter((one) => one.status === "rejected"))
		expect(reason).toMatchObject(tooMany);
	expect(await automatic()).toHaveLength(MAX_AUTOMATIC);
	const withCode = await create({ code: newCode() });
	await expect(update(withCode.id, { code: null })).rejects.toMatchObject(tooMany);
	expect(await get(withCode.id)).toEqual(withCode);
	await update((await automatic())[0]!, { ends_at: "2020-01-01T00:00:00Z", starts_at: null });
	expect((await update(withCode.id, { code: null })).code).toBeNull();
});
