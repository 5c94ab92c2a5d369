import { describe, expect, test } from "@jest/globals";
import { redact, redactText } from "./redact.ts";

/** Texts on which one of the patterns that came before was quadratic or cubic, or that begin what a pattern looks for again and again. */
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
/** What may come behind it, so that no match succeeds early, or the shortcut for harmless texts is not taken. */
const ENDS = [" :x", "=", "@", '"', "\n@"];
/** Milliseconds for all runs with one text. */
const PATIENCE = 20;

/** The fastest of some runs, in milliseconds: the others were interrupted. */
function timeOf(act: () => void): number {
	let fastest = Number.POSITIVE_INFINITY;
	for (const end = performance.now() + PATIENCE; performance.now() < end; ) {
		const began = performance.now();
		act();
		fastest = Math.min(fastest, performance.now() - began);
	}
	return fastest;
}
const attack = (piece: string, end: string, length: number) =>
	piece.repeat(Math.ceil(length / piece.length)).slice(0, length) + end;

describe("redactText", () => {
	// Four times the length takes 4 times as long if linear, 16 times if quadratic. Below half a millisecond it is linear enough.
	test.each(ATTACKS)("takes time linear in the length of a text of %j", (piece) => {
		for (const end of ENDS) {
			const [short, long] = [400, 1600].map((length) =>
				timeOf(() => redactText(attack(piece, end, length))),
			) as [number, number];
			expect({ end, ratio: long < 0.5 ? 1 : long / short }).toEqual({
				end,
				ratio: expect.closeTo(4, -1),
			});
		}
	});

	test("looks at 8000 characters, however long the text is", () => {
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
	])("writes %j as %j", (text, expected) => {
		expect(redactText(text)).toBe(expected);
	});
});

describe("redact", () => {
	test("looks at 64,000 characters of one line, whatever the shape of the value", () => {
		const wide = (depth: number): unknown =>
			depth === 0 ? "x".repeat(100) : Array.from({ length: 50 }, () => wide(depth - 1));
		expect(JSON.stringify(redact(wide(3))).length).toBeLessThan(100_000);
		expect(JSON.stringify(redact({ [`${"k".repeat(90_000)}`]: 1 })).length).toBeLessThan(300);
		expect(JSON.stringify(redact([{}, [], {}])).length).toBeLessThan(20);
	});
});
