import { expect, test } from "@jest/globals";
import { type CartDetails, describeProblem, inputOf, readPreview } from "./preview-values.ts";

const formOf = (fields: Record<string, string>): FormData => {
	const values = new FormData();
	for (const [name, value] of Object.entries(fields)) values.set(name, value);
	return values;
};

test("a preview has only the parameters that are given", () => {
	expect(readPreview(formOf({}), { a: 2 })).toEqual({ lines: [{ product_id: "a", quantity: 2 }] });
	const values = {
		coupon_codes: "SUMMER, VIP",
		shipping_method: "express",
		country: "de",
		postal_code: "10115",
		email: "a@example.com",
	};
	expect(readPreview(formOf(values), {})).toEqual({
		lines: [],
		coupon_codes: ["SUMMER", "VIP"],
		shipping_method: "express",
		shipping_address: {
			name: "Price preview",
			line1: "-",
			city: "-",
			country: "DE",
			region: null,
			postal_code: "10115",
		},
		email: "a@example.com",
	});
});

test("a preview of a cart keeps its currency and the rest of its address", () => {
	const cart = {
		currency: "CHF",
		user_id: "u",
		email: null,
		shipping_address: { name: "A", line1: "B 1", city: "Bern", country: "CH" },
	} as unknown as CartDetails;
	const params = readPreview(formOf({ country: "AT", user_id: "u", email: "x" }), {}, cart);
	expect(params).toMatchObject({
		currency: "CHF",
		user_id: "u",
		shipping_address: { name: "A", line1: "B 1", city: "Bern", country: "AT" },
	});
	expect(params).not.toHaveProperty("email");
});

test("shows errors at the inputs of the form", () => {
	expect(inputOf("shipping_address.postal_code")).toBe("postal_code");
	expect(inputOf("coupon_codes[1]")).toBe("coupon_codes");
	expect(inputOf("lines[1].quantity")).toBe("lines[1]");
	expect(inputOf("email")).toBe("email");
});

test("describes a problem with its product or coupon", () => {
	const lines = [{ product_id: "a", name: "Mug" }] as never;
	const describe = (problem: object) => describeProblem(problem as never, lines);
	expect(describe({ code: "OUT_OF_STOCK", product_id: "a" })).toMatch(/^Mug: The stock/);
	expect(describe({ code: "PRODUCT_NOT_FOUND", product_id: "b" })).toMatch(/^b: The product/);
	expect(describe({ code: "COUPON_UNKNOWN", product_id: null, coupon_code: "X" })).toMatch(/^X: /);
	expect(describe({ code: "UNDELIVERABLE", product_id: null })).toMatch(/^No shipping/);
});
