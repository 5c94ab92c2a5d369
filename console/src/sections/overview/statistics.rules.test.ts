import { expect, test } from "@jest/globals";
import { outcomesOf, seriesOf, startOf } from "./statistics.rules.ts";

const now = Date.parse("2030-01-02T12:30:30Z");
const row = (time: string, currency: string, placed: number, revenue: number) => ({
	time,
	currency,
	placed,
	confirmed: placed - 1,
	cancelled: 0,
	revenue,
});
const statistics = [
	row("2030-01-02T11:31:00Z", "EUR", 3, 20),
	row("2030-01-02T12:30:00Z", "EUR", 2, 10),
	row("2030-01-02T12:30:00Z", "USD", 1, 0.1),
	row("2030-01-01T00:00:00Z", "EUR", 9, 90),
];

test("a range starts at its first complete interval and ends with the current one", () => {
	expect(new Date(startOf("hour", now) * 1000).toISOString()).toBe("2030-01-02T11:31:00.000Z");
	expect(seriesOf([], "hour", now).times).toHaveLength(60);
	expect(seriesOf([], "day", now).times).toHaveLength(24);
	expect(seriesOf([], "month", now).times).toHaveLength(30);
});

test("series contain 0 where no order was placed, and one revenue per currency", () => {
	const { placed, confirmed, revenue } = seriesOf(statistics, "hour", now);
	expect([placed[0], placed[1], placed.at(-1)]).toEqual([3, 0, 3]);
	expect(confirmed.at(-1)).toBe(1);
	expect([revenue.EUR!.at(-1), revenue.USD!.at(-1), revenue.USD![0]]).toEqual([10, 0.1, 0]);
});

test("sagas that are neither confirmed nor cancelled are open", () => {
	expect(outcomesOf(statistics.slice(0, 3))).toEqual({
		placed: 6,
		confirmed: 3,
		cancelled: 0,
		open: 3,
		revenue: { EUR: 30, USD: 0.1 },
	});
});
