import { afterEach, expect, test } from "@jest/globals";
import { type Checkout, makeCheckout } from "../support/checkout.ts";

let checkout: Checkout;
afterEach(() => checkout.remove());

const setUp = (programs: readonly string[], version: string) => {
	checkout = makeCheckout(programs);
	return checkout.run("setup.sh", [], { NODE_VERSION: version });
};

test("scripts/setup.sh installs packages and lists missing programs", () => {
	const { code, output, errors, calls } = setUp(["node", "npm"], "20.8.0");
	expect({ code, errors, calls }).toEqual({ code: 0, errors: "", calls: ["npm ci"] });
	expect(output).toMatch(
		/Tests that require them are skipped: .*chromium-headless-shell missing \(on Debian: sudo/,
	);
	expect(output).toMatch(/docker is missing.*\nkubectl is missing/);
	expect(output).toMatch(/\nReady\.\n {2}npm start /);
});

test.each([
	["without Node", ["npm"], "", /^setup: Node 20 or newer with npm is missing/],
	["without npm", ["node"], "24.0.0", /^setup: Node 20 or newer with npm is missing/],
	[
		"with an old Node",
		["node", "npm"],
		"18.20.4",
		/^setup: this is Node v18.20.4: install Node 20 or newer/,
	],
])("%s it names the requirement and does nothing", (_, programs, version, message) => {
	expect(setUp(programs, version)).toMatchObject({
		code: 1,
		errors: expect.stringMatching(message),
		calls: [""],
	});
});
