import { expect, test } from "@jest/globals";
import { progressLine } from "./progress.ts";

const bar = (full: number) => "█".repeat(full) + "░".repeat(30 - full);

test.each([
	[{ done: 0, total: 200, rows: 0, seconds: 0 }, `${bar(0)}   0 %  0 rows  0/s`],
	[
		{ done: 50, total: 200, rows: 25_000, seconds: 20 },
		`${bar(8)}  25 %  25,000 rows  1,250/s  1:00 left`,
	],
	[
		{ done: 150, total: 200, rows: 75_000, seconds: 200 },
		`${bar(23)}  75 %  75,000 rows  375/s  1:07 left`,
	],
	[{ done: 200, total: 200, rows: 99_000, seconds: 60 }, `${bar(30)} 100 %  99,000 rows  1,650/s`],
	[{ done: 0, total: 0, rows: 0, seconds: 1 }, `${bar(30)} 100 %  0 rows  0/s`],
])("shows %j", (progress, line) => {
	expect(progressLine(progress)).toBe(line);
});
