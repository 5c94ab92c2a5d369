import { describe, expect, test } from "@jest/globals";
import { redact, redactText } from "./redact.ts";

/**
 * Texts on which an earlier pattern was quadratic or cubic, or that repeat the start of a pattern.
 */
const ATTACKS = [
	"passw",
	"passw=",
	"password :",
	'password: "\\',
	"x:",
	"a://",
	"a://:",
	"eyJ",
	"-eyJaaaaa",
	"eyJaaaaaa.",
	"Bearer ",
	"Bearer aaaaa ",
	"Basic\t",
	"%40",
	"a%40a.",
	"@a.",
	"a@",
	"@.",
	"e_mail",
	"address ",
	"(=",
	"secret'",
	" ",
	".",
];
/** Suffixes that prevent an early match, or the quick check from accepting the text. */
const ENDS = [" :x", "=", "@", '"', "\n@"];
/** Milliseconds for all runs of one text, and their least number. */
const RUN_MS = 5;
const RUNS = 4;
/** Milliseconds below which the measurement is too coarse for a ratio. */
const FAST_MS = 0.5;

/** Processor time of this thread in milliseconds, which excludes time in which others ran. */
function cpuTime(): number {
	const { user, system } = process.threadCpuUsage();
	return (user + system) / 1000;
}
/**
 * The fastest run in milliseconds; slower ones compiled the pattern. The first run that is faster
 * than `enough` milliseconds is the last one.
 */
function fastestRun(act: () => void, enough = 0): number {
	let fastest = Number.POSITIVE_INFINITY;
	const end = cpuTime() + RUN_MS;
	for (let run = 0; fastest >= enough && (run < RUNS || cpuTime() < end); run++) {
		const began = cpuTime();
		act();
		fastest = Math.min(fastest, cpuTime() - began);
	}
	return fastest;
}
const attack = (piece: string, end: string, length: number) =>
	piece.repeat(Math.ceil(length / piece.length)).slice(0, length) + end;

describe("redactText", () => {
	// Four times the length takes 4 times as long if linear, and 16 times if quadratic.
	test.each(ATTACKS)("runs in linear time on repetitions of %j", (piece) => {
		for (const end of ENDS) {
			const [short, long] = [400, 1600].map((length) => attack(piece, end, length)) as [
				string,
				string,
			];
			const longTime = fastestRun(() => redactText(long), FAST_MS);
			if (longTime < FAST_MS) continue;
			const ratio = longTime / fastestRun(() => redactText(short));
			expect({ end, ratio }).toEqual({ end, ratio: expect.closeTo(4, -1) });
		}
	});

	test("processes at most 8000 characters", () => {
		expect(redactText("x@".repeat(100_000)).length).toBeLessThan(8100);
	});

	test.each([
		["mail to zoe@example.com.", "mail to [e-mail]."],
		["mail to <zoe.k@mail.example.com>, now", "mail to <[e-mail]>, now"],
		["/users/zoe%40example.com/orders", "/users/[e-mail]/orders"],
		["a@b and b@c.d stay, no address", "a@b and b@c.d stay, no address"],
		["user-password=abc&x=1", "user-password=[hidden]&x=1"],
		['{"a":1,"newPassword" : "a\\"b","b":2}', '{"a":1,"newPassword" : "[hidden]","b":2}'],
		["postgres://a:b:c@host/x", "postgres://[hidden]@host/x"],
	])("redacts %j to %j", (text, expected) => {
		expect(redactText(text)).toBe(expected);
	});
});

describe("redact", () => {
	test("processes at most 64,000 characters of a line, whatever the shape of the value", () => {
		const wide = (depth: number): unknown =>
			depth === 0 ? "x".repeat(100) : Array.from({ length: 50 }, () => wide(depth - 1));
		expect(JSON.stringify(redact(wide(3))).length).toBeLessThan(100_000);
		expect(JSON.stringify(redact({ [`${"k".repeat(90_000)}`]: 1 })).length).toBeLessThan(300);
		expect(JSON.stringify(redact([{}, [], {}])).length).toBeLessThan(20);
	});
});
