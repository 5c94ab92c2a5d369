import { describe, expect, test } from "@jest/globals";
import { toRequest } from "./requests.ts";

const rest = (route: string) => ({ rest: route });

describe("the request of an action", () => {
	test("has parameters in its path and its body", () => {
		const params = { id: "a/b?c", product_id: "p 1", quantity: 2, note: undefined };
		expect(toRequest(rest("PUT /carts/:id/lines/:product_id"), params, {})).toEqual({
			method: "PUT",
			path: "/carts/a%2Fb%3Fc/lines/p%201",
			headers: { "content-type": "application/json" },
			body: '{"quantity":2}',
		});
	});

	test("has parameters in its query: lists as repeated keys, records as NAME.KEY", () => {
		const params = { q: "tea & milk", attr: { color: ["red", "blue"] }, in_stock: true, skip: 0 };
		expect(toRequest(rest("GET /products"), params, {}).path).toBe(
			"/products?q=tea+%26+milk&attr.color=red&attr.color=blue&in_stock=true&skip=0",
		);
	});

	test("has a list as its body", () => {
		const route = { ...rest("PUT /tax/rates"), bodyList: "rates" };
		expect(toRequest(route, { rates: [{ country: "DE" }] }, {}).body).toBe('[{"country":"DE"}]');
	});

	test("has no body without parameters", () => {
		expect(toRequest(rest("POST /orders/:id/ship"), { id: "o1" }, {})).toEqual({
			method: "POST",
			path: "/orders/o1/ship",
			headers: {},
		});
	});

	test.each([undefined, null, "", ".", "..", {}])("rejects %j in its path", (id) => {
		expect(() => toRequest(rest("GET /orders/:id"), { id }, {})).toThrow(
			/'id' is part of the path/,
		);
	});

	test("has the secret of a guest only where an action accepts it", () => {
		const options = { cartToken: "c", orderToken: "o", ifMatch: '"1"', headers: { "x-a": "b" } };
		const headersOf = (token?: string) =>
			toRequest({ ...rest("GET /x"), ...(token ? { token } : {}) }, {}, options).headers;
		const others = { "if-match": '"1"', "x-a": "b" };
		expect(headersOf("Cart-Token")).toEqual({ "Cart-Token": "c", ...others });
		expect(headersOf("Order-Token")).toEqual({ "Order-Token": "o", ...others });
		expect(headersOf()).toEqual(others);
	});
});
