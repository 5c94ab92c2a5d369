import { expect, test } from "@jest/globals";
import { periodsOf } from "./orders.statistics.rules.ts";

const now = new Date("2026-03-05T12:34:56.789Z");
const time = (text: string) => new Date(text);

test("extends the requested time to whole periods", () => {
	const request = { from: "2026-03-05T10:20:30Z", to: "2026-03-05T11:00:01Z" };
	expect(periodsOf({ ...request, interval: "hour" }, now)).toEqual({
		from: time("2026-03-05T10:00:00Z"),
		to: time("2026-03-05T12:00:00Z"),
		interval: "hour",
	});
	expect(periodsOf({ ...request, interval: "day" }, now)).toMatchObject({
		from: time("2026-03-05T00:00:00Z"),
		to: time("2026-03-06T00:00:00Z"),
	});
});

test("does not extend whole periods", () => {
	const request = { from: "2026-03-05T10:00:00Z", to: "2026-03-05T11:00:00Z" };
	expect(periodsOf({ ...request, interval: "minute" }, now)).toMatchObject({
		from: time(request.from),
		to: time(request.to),
	});
});

test.each([now, new Date("2026-03-05T12:00:00Z")])(
	"ends by default after the period of %p",
	(at) => {
		expect(periodsOf({ from: at.toISOString(), interval: "hour" }, at)).toMatchObject({
			from: time("2026-03-05T12:00:00Z"),
			to: time("2026-03-05T13:00:00Z"),
		});
	},
);

test.each([
	["to", { from: "2026-03-05T10:00:00Z", to: "2026-03-05T10:00:00Z" }],
	["from", { from: "2026-03-06T10:00:00Z" }],
	["interval", { from: "2025-03-05T10:00:00Z" }],
])("rejects the field %s of %p", (field, request) => {
	expect(() => periodsOf({ ...request, interval: "hour" }, now)).toThrow(
		expect.objectContaining({ data: { errors: [expect.objectContaining({ field })] } }),
	);
});

test("allows 1,500 periods and no more", () => {
	const request = { from: "2026-01-01T00:00:00Z", interval: "minute" } as const;
	const end = time("2026-01-02T01:00:00Z");
	expect(periodsOf({ ...request, to: end.toISOString() }, now).to).toEqual(end);
	const after = new Date(end.getTime() + 1).toISOString();
	expect(() => periodsOf({ ...request, to: after }, now)).toThrow("valid");
});
