import { expect, test } from "@jest/globals";
import { SELF_TESTS } from "./self-test.ts";

// `npm run check` and .ci/run execute the self-tests: npm run chaos -- --self-test
test("expects each bug to violate an invariant, and each profile to violate none", () => {
	expect(SELF_TESTS.map(({ title, violates }) => [title, violates])).toEqual([
		["bug tombstone", "CANCELLED_BUT_HELD"],
		["bug early-publish", "EVENT_TWICE"],
		["bug lease", "SAGA_OPEN"],
		["bug redemption-tombstone", "CANCELLED_BUT_REDEEMED"],
		["bug cart-order", "CART_ORDERED_TWICE"],
		["profile lateness", undefined],
		["profile takeover", undefined],
		["profile redemptions", undefined],
		["profile carts", undefined],
		["profile large", undefined],
	]);
});
