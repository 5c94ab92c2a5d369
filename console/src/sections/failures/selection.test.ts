import { expect, test } from "@jest/globals";
import {
	describe as describeSelection,
	pageOfEvent,
	pageOfViolation,
	positionOf,
	resultOf,
	selectionOf,
} from "./selection.ts";

const id = "019a2237-8132-7211-ba3a-3cfabf409c25";
const query = (text: string) => new URLSearchParams(text);

test("a selection has a service and a type, and a word selects all types of its kind", () => {
	expect(selectionOf(query("service=tax&type=%20order.confirmed&page=2"))).toEqual({
		service: "tax",
		type: "order.confirmed",
	});
	expect(selectionOf(query("service=&type=order"))).toEqual({ type: "order.*" });
	expect(selectionOf(query("type=order."))).toEqual({ type: "order.*" });
	expect(selectionOf(query("type=order.*"))).toEqual({ type: "order.*" });
	expect(selectionOf(query(""))).toEqual({});
});

test("only the list of one service has further pages", () => {
	expect(positionOf(query(`service=tax&page=${id}`))).toEqual({ after: id });
	expect(positionOf(query(`page=${id}`))).toEqual({});
	expect(positionOf(query("service=tax&page=2"))).toEqual({});
});

test("questions name the selection, and results the services that do not respond", () => {
	expect(describeSelection({})).toBe("all dead letters of all services");
	expect(describeSelection({ service: "tax", type: "order.*" })).toBe(
		"all dead letters of tax with the type order.*",
	);
	expect(resultOf("retried", { count: 1, unavailable: [] })).toBe("1 event is retried.");
	expect(resultOf("discarded", { count: 0, unavailable: ["tax"] })).toBe(
		"0 events are discarded. Without those of tax: it does not respond.",
	);
	expect(resultOf("retried", { count: 2, unavailable: ["carts", "tax"] })).toContain(
		"carts, tax: they do not respond.",
	);
});

test("subjects of events and violations lead to their pages", () => {
	expect(pageOfEvent("order.shipped", id)).toBe(`/orders/${id}`);
	expect(pageOfEvent("user.created", id)).toBe(`/customers/${id}`);
	expect(pageOfEvent("tax.changed", id)).toBeUndefined();
	expect(pageOfEvent("order.shipped", "../x")).toBeUndefined();
	expect(pageOfViolation("NOT_PAID", id)).toBe(`/orders/${id}`);
	expect(pageOfViolation("OVERSOLD", id)).toBe(`/products/${id}`);
	expect(pageOfViolation("CHARGE_WITHOUT_ORDER", "ch_1")).toBeUndefined();
});
