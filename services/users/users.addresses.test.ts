import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { CallingOptions } from "moleculer";
import { v7 as uuid } from "uuid";
import { repeatWithoutConnection } from "../../test/support/outages.ts";
import { asAdmin, type Shop, startShop } from "../../test/support/shop.ts";
import type { SavedAddress } from "./users.addresses.ts";
import "./users.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
});
afterAll(() => shop?.stop());

interface Owner {
	readonly id: string;
	readonly email: string;
}
const as = ({ id, email }: Owner, meta: object = {}): CallingOptions => ({
	meta: { user: { id, email, role: "user" }, ...meta },
});
const register = (): Promise<Owner> =>
	shop.call("users.create", {
		email: `${uuid()}@example.com`,
		password: "correct horse",
		full_name: "Zoë",
	});
const berlin = {
	name: "Zoë",
	line1: "Unter den Linden 1",
	postal_code: "10117",
	city: "Berlin",
	country: "DE",
};
type Changes = Partial<Omit<SavedAddress, "id">>;
const add = (owner: Owner, fields: Changes = {}, options = as(owner)) =>
	shop.call("users.addAddress", { id: owner.id, ...berlin, ...fields }, options);
const change = (owner: Owner, address_id: string, changes: Changes) =>
	shop.call("users.updateAddress", { id: owner.id, address_id, ...changes }, as(owner));
const list = (owner: Owner) => shop.call("users.listAddresses", { id: owner.id }, as(owner));
/** Lines of the default addresses. */
const defaultsOf = async (owner: Owner) => {
	const all = await list(owner);
	const lines = (field: "is_default_shipping" | "is_default_billing") =>
		all.filter((one) => one[field]).map(({ line1 }) => line1);
	return { shipping: lines("is_default_shipping"), billing: lines("is_default_billing") };
};
const violates = (field: string) => ({
	type: "VALIDATION_ERROR",
	data: { errors: [expect.objectContaining({ field })] },
});

test("adds, lists, changes and deletes addresses", async () => {
	const zoe = await register();
	const first = await add(zoe, { company: "ACME", line2: "" });
	expect(first).toEqual({
		...berlin,
		id: first.id,
		company: "ACME",
		line2: null,
		region: null,
		phone: null,
		is_default_shipping: false,
		is_default_billing: false,
	});
	const second = await add(zoe, { line1: "2" });
	expect(await list(zoe)).toEqual([first, second]);

	const changed = await change(zoe, first.id, { company: null, city: "Potsdam" });
	expect(changed).toEqual({ ...first, company: null, city: "Potsdam" });
	expect(await list(zoe)).toEqual([changed, second]);

	const remove = () =>
		shop.call("users.removeAddress", { id: zoe.id, address_id: first.id }, as(zoe));
	await remove();
	await expect(remove()).rejects.toMatchObject({ type: "ADDRESS_NOT_FOUND" });
	expect(await list(zoe)).toEqual([second]);
});

test("rejects an address without a valid country and postal code", async () => {
	const zoe = await register();
	await expect(add(zoe, { country: "XX" })).rejects.toMatchObject(violates("country"));
	await expect(add(zoe, { postal_code: null })).rejects.toMatchObject(violates("postal_code"));
	const { id } = await add(zoe);
	await expect(change(zoe, id, { country: "US", postal_code: "x" })).rejects.toMatchObject(
		violates("postal_code"),
	);
	await expect(change(zoe, id, { country: "GB" })).rejects.toMatchObject(violates("postal_code"));
	await expect(change(zoe, id, {})).rejects.toMatchObject(violates(""));
	expect(await change(zoe, id, { country: "US" })).toMatchObject({ country: "US" });
});

test("a new default replaces the former one of its kind", async () => {
	const zoe = await register();
	await add(zoe, { line1: "A", is_default_shipping: true, is_default_billing: true });
	const b = await add(zoe, { line1: "B", is_default_shipping: true });
	expect(await defaultsOf(zoe)).toEqual({ shipping: ["B"], billing: ["A"] });
	await change(zoe, b.id, { is_default_billing: true });
	expect(await defaultsOf(zoe)).toEqual({ shipping: ["B"], billing: ["B"] });
	await change(zoe, b.id, { line1: "C" });
	expect(await defaultsOf(zoe)).toEqual({ shipping: ["C"], billing: ["C"] });
	await change(zoe, b.id, { is_default_shipping: false });
	expect(await defaultsOf(zoe)).toEqual({ shipping: [], billing: ["C"] });
	const other = await register();
	await add(other, { line1: "D", is_default_billing: true });
	expect(await defaultsOf(zoe)).toEqual({ shipping: [], billing: ["C"] });
});

test("concurrent requests leave one default of each kind", async () => {
	const zoe = await register();
	const both = { is_default_shipping: true, is_default_billing: true };
	const added = await Promise.all(Array.from({ length: 10 }, () => add(zoe, both)));
	await Promise.all(
		added.flatMap(({ id }) => [change(zoe, id, both), change(zoe, id, { city: "Potsdam" })]),
	);
	const { shipping, billing } = await defaultsOf(zoe);
	expect([shipping.length, billing.length]).toEqual([1, 1]);
});

test("concurrent requests add 50 addresses at most, and keep the defaults", async () => {
	const zoe = await register();
	await add(zoe, { line1: "default", is_default_shipping: true });
	const outcomes = await Promise.allSettled(
		Array.from({ length: 60 }, () => repeatWithoutConnection(() => add(zoe))),
	);
	const refused = outcomes.filter(({ status }) => status === "rejected");
	expect(refused).toHaveLength(11);
	for (const outcome of refused)
		expect(outcome).toMatchObject({ reason: { type: "ADDRESS_BOOK_FULL", code: 409 } });
	const last = add(zoe, { is_default_shipping: true });
	await expect(last).rejects.toMatchObject({ type: "ADDRESS_BOOK_FULL" });
	expect(await list(zoe)).toHaveLength(50);
	expect((await defaultsOf(zoe)).shipping).toEqual(["default"]);
});

test("only the user and administrators have access", async () => {
	const [zoe, other] = [await register(), await register()];
	const address = await add(zoe);
	const own = { id: zoe.id, address_id: address.id };
	const forbidden = { type: "FORBIDDEN" };
	await expect(shop.call("users.listAddresses", { id: zoe.id }, as(other))).rejects.toMatchObject(
		forbidden,
	);
	await expect(add(zoe, {}, as(other))).rejects.toMatchObject(forbidden);
	await expect(
		shop.call("users.updateAddress", { ...own, city: "X" }, as(other)),
	).rejects.toMatchObject(forbidden);
	await expect(shop.call("users.removeAddress", own, as(other))).rejects.toMatchObject(forbidden);

	// The address of another user does not exist below one's own path.
	const wrong = { id: other.id, address_id: address.id };
	const missing = { type: "ADDRESS_NOT_FOUND" };
	await expect(
		shop.call("users.updateAddress", { ...wrong, city: "X" }, as(other)),
	).rejects.toMatchObject(missing);
	await expect(shop.call("users.removeAddress", wrong, as(other))).rejects.toMatchObject(missing);

	expect(await shop.call("users.listAddresses", { id: zoe.id }, asAdmin)).toEqual([address]);
	await shop.call("users.updateAddress", { ...own, city: "Potsdam" }, asAdmin);
	await shop.call("users.removeAddress", own, asAdmin);
	expect(await list(zoe)).toEqual([]);
	const nobody = { id: uuid(), email: "nobody@example.com" };
	const unknown = { type: "USER_NOT_FOUND" };
	const listUnknown = shop.call("users.listAddresses", { id: nobody.id }, asAdmin);
	await expect(listUnknown).rejects.toMatchObject(unknown);
	await expect(add(nobody, {}, asAdmin)).rejects.toMatchObject(unknown);
});

test("a repeated request with the same Idempotency-Key adds one address", async () => {
	const zoe = await register();
	const keyed = as(zoe, { idempotency_key: "one" });
	const [first, again] = [await add(zoe, {}, keyed), await add(zoe, {}, keyed)];
	expect(again).toEqual(first);
	expect(await list(zoe)).toHaveLength(1);
});

test("the address book is deleted with the account", async () => {
	const zoe = await register();
	const { id } = zoe;
	await add(zoe);
	await shop.call("users.update", { id, is_active: false }, asAdmin);
	expect(await list(zoe)).toHaveLength(1);
	// An address that arrives late is not stored.
	await expect(add(zoe)).rejects.toMatchObject({ type: "USER_NOT_FOUND" });
	await shop.call("users.remove", { id }, asAdmin);
	expect(await list(zoe)).toEqual([]);
	await shop.call("users.update", { id, is_active: true }, asAdmin);
	expect(await list(zoe)).toEqual([]);
});
