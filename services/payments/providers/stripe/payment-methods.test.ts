import { expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { confirmationOf } from "./payment-methods.ts";

const intentWith = (type: string | null) =>
	({ payment_method: type && { type } }) as unknown as Stripe.PaymentIntent;

test.each(["card", "klarna", "paypal"])("%s is captured after the authorization", (type) => {
	expect(confirmationOf(intentWith(type))).toEqual({
		payment_method_options: { [type]: { capture_method: "manual" } },
	});
});

test.each(["sepa_debit", "us_bank_account"])("%s is confirmed with a mandate", (type) => {
	expect(confirmationOf(intentWith(type))).toEqual({
		mandate_data: { customer_acceptance: { type: "offline" } },
	});
});

test.each(["ideal", "bancontact", null])("%s is confirmed without options", (type) => {
	expect(confirmationOf(intentWith(type))).toEqual({});
});
