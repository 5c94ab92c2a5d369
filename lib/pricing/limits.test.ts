import { expect, test } from "@jest/globals";
import { carts } from "../../services/carts/carts.contract.ts";
import { orders } from "../../services/orders/orders.contract.ts";
import { promotions } from "../../services/promotions/promotions.contract.ts";
import { MAX_ADJUSTMENTS, MAX_COUPONS } from "./limits.ts";

test("contracts accept orders with the discounts of all promotions that can apply", () => {
	const { adjustments, coupon_codes } = orders.actions.place.params.priced.props;
	expect(adjustments.max).toBe(MAX_ADJUSTMENTS);
	expect(promotions.actions.redeem.params.orders.items.props.uses.max).toBe(MAX_ADJUSTMENTS);
	expect(coupon_codes.max).toBe(MAX_COUPONS);
	for (const action of ["preview", "update"] as const)
		expect(carts.actions[action].params.coupon_codes.max).toBe(MAX_COUPONS);
});
