import { expect, test } from "@jest/globals";
import { assertPosition, assertSelective, oldestFirst, toFilter } from "./operations.rules.ts";

const event_id = "019a0000-0000-7000-8000-000000000001";
const everything = { since: "0001-01-01T00:00:00Z" };

test.each([
	[{}, undefined, everything],
	[{ all: true }, undefined, everything],
	[{ all: false, service: "orders" }, "orders", everything],
	[{ service: "orders" }, "orders", everything],
	[{ type: "order.*" }, undefined, { type: "order.*" }],
	[{ service: "orders", event_id }, "orders", { event_id }],
	[{ event_id, type: "order.created" }, undefined, { event_id, type: "order.created" }],
])("%j selects of the service %j the dead letters %j", (params, service, filter) => {
	expect(toFilter(params)).toEqual({ service, filter });
});

test.each([{ service: "orders" }, { type: "order.*" }, { event_id }])(
	"rejects all together with %j",
	(fields) => {
		expect(() => toFilter({ all: true, ...fields })).toThrow(
			expect.objectContaining({ type: "VALIDATION_ERROR", code: 422 }),
		);
	},
);

test("a discard requires a field, or all", () => {
	for (const params of [{}, { all: false }])
		expect(() => assertSelective(params)).toThrow(
			expect.objectContaining({ type: "VALIDATION_ERROR", code: 422 }),
		);
	for (const params of [{ service: "orders" }, { type: "*" }, { event_id }, { all: true }])
		expect(() => assertSelective(params)).not.toThrow();
});

test("a position in the list requires its service", () => {
	expect(() => assertPosition({ after: event_id })).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR" }),
	);
	expect(() => assertPosition({ after: event_id, service: "orders" })).not.toThrow();
	expect(() => assertPosition({})).not.toThrow();
});

test("merges the rows of services by time, then by event, up to the limit", () => {
	const row = (dead_at: string, event_id: string) => ({ dead_at, event_id });
	const [a, b, c] = [
		row("2026-01-01T00:00:00.000Z", "2"),
		row("2026-01-01T00:00:00.000Z", "3"),
		row("2026-01-02T00:00:00.000Z", "1"),
	];
	expect(oldestFirst([c!, b!, a!], 10)).toEqual([a, b, c]);
	expect(oldestFirst([c!, b!, a!], 2)).toEqual([a, b]);
});
