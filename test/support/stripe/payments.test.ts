import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { AUTHORIZED, clientOf, failure, PAID, startTestShop, type TestShop } from "./test-shop.ts";

const DAY = 86_400;
let shop: TestShop;
let sdk: Stripe;

beforeAll(async () => {
	shop = await startTestShop({ searchDelaySeconds: 60 });
	({ sdk } = shop);
});
beforeEach(() => shop.stripe.reset());
afterAll(() => shop.close());

const create = (params: Partial<Stripe.PaymentIntentCreateParams> = {}) =>
	sdk.paymentIntents.create({
		amount: 1000,
		currency: "eur",
		allowed_payment_method_types: ["card"],
		...params,
	});

describe("PaymentIntents", () => {
	test("an unconfirmed intent is created, confirmed and retrieved", async () => {
		const created = await create({ metadata: { order_id: "o1" }, description: "Order o1" });
		expect(created).toMatchObject({
			status: "requires_payment_method",
			metadata: { order_id: "o1" },
			client_secret: expect.stringMatching(`^${created.id}_secret_`),
		});
		const confirmed = await sdk.paymentIntents.confirm(created.id, {
			payment_method: "pm_card_visa",
		});
		expect(confirmed).toMatchObject({ status: "succeeded", amount_received: 1000 });
		expect(await sdk.paymentIntents.retrieve(created.id)).toMatchObject({ status: "succeeded" });
	});

	test("an intent with a payment method requires confirmation", async () => {
		const created = await create({ payment_method: "pm_card_visa" });
		expect(created.status).toBe("requires_confirmation");
		expect((await sdk.paymentIntents.confirm(created.id)).status).toBe("succeeded");
	});

	test("an authorization is captured partially, and the charge can be expanded", async () => {
		const authorized = await create(AUTHORIZED);
		expect(authorized).toMatchObject({ status: "requires_capture", amount_capturable: 1000 });
		const captured = await sdk.paymentIntents.capture(authorized.id, {
			amount_to_capture: 600,
			expand: ["latest_charge.payment_intent"],
		});
		expect(captured).toMatchObject({
			status: "succeeded",
			amount_received: 600,
			latest_charge: {
				amount_captured: 600,
				amount_refunded: 400,
				payment_intent: { id: authorized.id },
			},
		});
	});

	test("a page and a payment method can be expanded, other fields cannot", async () => {
		const { id } = await create(PAID);
		const { data } = await sdk.paymentIntents.list({ expand: ["data.payment_method"] });
		expect(data).toMatchObject([
			{ id, payment_method: { object: "payment_method", type: "card" } },
		]);
		const { id: method } = data[0]!.payment_method as Stripe.PaymentMethod;
		expect(await sdk.paymentMethods.retrieve(method)).toMatchObject({ type: "card" });
		const unpaid = await create({ expand: ["latest_charge.payment_intent"] });
		expect(unpaid.latest_charge).toBeNull();
		expect(await failure(sdk.paymentIntents.retrieve(id, { expand: ["amount"] }))).toMatchObject({
			param: "expand",
		});
	});

	test("an authorization is canceled", async () => {
		const { id } = await create(AUTHORIZED);
		const canceled = await sdk.paymentIntents.cancel(id, { cancellation_reason: "abandoned" });
		expect(canceled).toMatchObject({ status: "canceled", cancellation_reason: "abandoned" });
	});

	test("an authorization expires at capture_before", async () => {
		const { id } = await create({ ...AUTHORIZED, expand: ["latest_charge"] });
		await shop.stripe.advance(7 * DAY + 1);
		const expired = await sdk.paymentIntents.retrieve(id);
		expect(expired).toMatchObject({ status: "canceled", cancellation_reason: "automatic" });
		await shop.stripe.webhooksDelivered();
		expect(shop.types()).toEqual(
			expect.arrayContaining(["charge.expired", "payment_intent.canceled"]),
		);
	});

	test("an authorization also expires as time passes", async () => {
		const instant = await startTestShop({ authorizationSeconds: 0 });
		const { id } = await instant.sdk.paymentIntents.create(AUTHORIZED);
		expect(await instant.sdk.paymentIntents.retrieve(id)).toMatchObject({ status: "canceled" });
		await instant.close();
	});

	test("amounts of currencies without and with three decimals are whole numbers", async () => {
		expect(await create({ ...PAID, amount: 500, currency: "jpy" })).toMatchObject({
			amount_received: 500,
			currency: "jpy",
		});
		expect(await create({ ...PAID, amount: 12340, currency: "bhd" })).toMatchObject({
			amount_received: 12340,
		});
	});

	test("metadata is merged by an update", async () => {
		const { id } = await create({ metadata: { a: "1", b: "2" } });
		await sdk.paymentIntents.update(id, { metadata: { a: "", c: "3" } });
		expect((await sdk.paymentIntents.retrieve(id)).metadata).toEqual({ b: "2", c: "3" });
	});
});

describe("errors", () => {
	test("a decline has status 402 and the intent in the error", async () => {
		const error = await failure(
			create({ ...PAID, payment_method: "pm_card_chargeDeclinedInsufficientFunds" }),
		);
		expect(error).toMatchObject({
			type: "StripeCardError",
			statusCode: 402,
			code: "card_declined",
			decline_code: "insufficient_funds",
			payment_intent: { status: "requires_payment_method" },
		});
		const intent = await sdk.paymentIntents.retrieve(error.payment_intent!.id);
		expect(intent.last_payment_error).toMatchObject({ decline_code: "insufficient_funds" });
		const retried = await sdk.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" });
		expect(retried).toMatchObject({ status: "succeeded", last_payment_error: null });
	});

	test("an illegal transition has the code payment_intent_unexpected_state", async () => {
		const { id } = await create(PAID);
		for (const illegal of [
			() => sdk.paymentIntents.capture(id),
			() => sdk.paymentIntents.cancel(id),
			() => sdk.paymentIntents.confirm(id, { payment_method: "pm_card_visa" }),
		])
			expect(await failure(illegal())).toMatchObject({
				statusCode: 400,
				code: "payment_intent_unexpected_state",
				payment_intent: { id, status: "succeeded" },
			});
	});

	test("confirmation requires a payment method", async () => {
		const { id } = await create();
		expect(await failure(sdk.paymentIntents.confirm(id))).toMatchObject({
			code: "payment_intent_unexpected_state",
		});
	});

	test.each(["ideal", "sepa_debit"])("manual capture of %s is rejected", async (type) => {
		const manual = { capture_method: "manual", currency: "eur" } as const;
		expect(
			await failure(create({ ...manual, allowed_payment_method_types: [type] })),
		).toMatchObject({ statusCode: 400, code: "payment_intent_invalid_parameter" });
		const { id, payment_method_types } = await create({
			...manual,
			allowed_payment_method_types: ["card", type],
		});
		expect(payment_method_types).toEqual(["card"]);
		expect(
			await failure(
				sdk.paymentIntents.confirm(id, {
					payment_method_data: { type },
					return_url: "https://shop.example/",
				}),
			),
		).toMatchObject({ code: "payment_intent_incompatible_payment_method" });
	});

	test("automatic payment methods require a return URL", async () => {
		const params = { amount: 1000, currency: "eur", payment_method: "pm_card_visa", confirm: true };
		expect(await failure(sdk.paymentIntents.create(params))).toMatchObject({ param: "return_url" });
		const never = { enabled: true, allow_redirects: "never" } as const;
		const paid = await sdk.paymentIntents.create({ ...params, automatic_payment_methods: never });
		expect(paid.status).toBe("succeeded");
	});

	test.each<[string, Record<string, unknown>, string]>([
		["a missing amount", { amount: undefined }, "parameter_missing"],
		["a fraction", { amount: 10.5 }, "parameter_invalid_integer"],
		["a negative amount", { amount: -1 }, "parameter_invalid_integer"],
		["an excessive amount", { amount: 100_000_000 }, "amount_too_large"],
		["an unknown parameter", { amounts: 1 }, "parameter_unknown"],
		["a removed parameter", { payment_method_types: ["card"] }, "parameter_unknown"],
		["an unknown payment method", { payment_method: "pm_none" }, "resource_missing"],
	])("%s is rejected", async (_, params, code) => {
		expect(await failure(create(params as object))).toMatchObject({ statusCode: 400, code });
	});

	test("a currency in upper case and an unknown currency are rejected", async () => {
		for (const currency of ["EUR", "xxy"])
			expect(await failure(create({ currency }))).toMatchObject({ param: "currency" });
	});

	test("an unknown object has status 404, a wrong key 401", async () => {
		expect(await failure(sdk.paymentIntents.retrieve("pi_none"))).toMatchObject({
			statusCode: 404,
			code: "resource_missing",
			requestId: expect.stringMatching(/^req_/),
		});
		const stranger = clientOf({ ...shop.stripe, apiKey: "sk_test_wrong" });
		expect(await failure(stranger.paymentIntents.list())).toMatchObject({
			type: "StripeAuthenticationError",
			statusCode: 401,
		});
		expect(await failure(sdk.customers.list())).toMatchObject({ statusCode: 404 });
	});
});

describe("other payment methods", () => {
	test("a card with 3-D Secure requires the payer's action", async () => {
		const params = { ...PAID, payment_method: "pm_card_threeDSecure2Required" };
		const withUrl = await create({ ...params, return_url: "https://shop.example/return" });
		expect(withUrl).toMatchObject({
			status: "requires_action",
			next_action: {
				type: "redirect_to_url",
				redirect_to_url: { return_url: "https://shop.example/return" },
			},
		});
		expect((await create(params)).next_action!.type).toBe("use_stripe_sdk");
		expect(await shop.stripe.authenticate(withUrl.id)).toMatchObject({ status: "succeeded" });
	});

	test("the page of a redirect authenticates and returns to the shop", async () => {
		const { id, next_action } = await create({
			allowed_payment_method_types: ["ideal"],
			payment_method_data: { type: "ideal" },
			confirm: true,
			return_url: "https://shop.example/return?order=o1",
		});
		const { url } = next_action!.redirect_to_url!;
		const response = await fetch(`${url}?outcome=failed`, {
			redirect: "manual",
			headers: { connection: "close" },
		});
		const target = new URL(response.headers.get("location")!);
		expect(Object.fromEntries(target.searchParams)).toMatchObject({
			order: "o1",
			payment_intent: id,
			redirect_status: "failed",
		});
		expect(await sdk.paymentIntents.retrieve(id)).toMatchObject({
			status: "requires_payment_method",
		});
	});

	test("a debit is processing until the bank settles it", async () => {
		const debit = {
			allowed_payment_method_types: ["us_bank_account"],
			payment_method: "pm_usBankAccount_success",
			currency: "usd",
			confirm: true,
		};
		const [settled, returned] = [await create(debit), await create(debit)];
		expect(settled.status).toBe("processing");
		expect(await shop.stripe.settle(settled.id)).toMatchObject({ status: "succeeded" });
		expect(await shop.stripe.settle(returned.id, "failed")).toMatchObject({
			status: "requires_payment_method",
			last_payment_error: { code: "debit_not_authorized" },
		});
	});

	test("a payer pays an unconfirmed intent in the browser", async () => {
		const { id } = await create({ capture_method: "manual" });
		const declined = await shop.stripe.pay(id, "pm_card_chargeDeclined");
		expect(declined.status).toBe("requires_payment_method");
		expect((await shop.stripe.pay(id)).status).toBe("requires_capture");
	});

	test("a card option selects manual capture for cards only", async () => {
		const params = {
			allowed_payment_method_types: ["card", "ideal"],
			payment_method_options: { card: { capture_method: "manual" } },
		} as const;
		const options = {
			...params,
			allowed_payment_method_types: [...params.allowed_payment_method_types],
		};
		const [card, ideal] = [await create(options), await create(options)];
		expect((await shop.stripe.pay(card.id)).status).toBe("requires_capture");
		await shop.stripe.pay(ideal.id, "pm_ideal", "https://shop.example/");
		expect((await shop.stripe.authenticate(ideal.id)).status).toBe("succeeded");
	});
});

describe("list and search", () => {
	test("lists pages, newest first, in both directions", async () => {
		const ids: string[] = [];
		for (let index = 0; index < 5; index++) ids.unshift((await create()).id);
		const first = await sdk.paymentIntents.list({ limit: 2 });
		expect(first).toMatchObject({ has_more: true });
		expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
		const last = await sdk.paymentIntents.list({ limit: 3, starting_after: ids[1]! });
		expect(last).toMatchObject({ has_more: false });
		expect(last.data.map(({ id }) => id)).toEqual(ids.slice(2));
		const before = await sdk.paymentIntents.list({ limit: 1, ending_before: ids[2]! });
		expect(before).toMatchObject({ has_more: true, data: [{ id: ids[1] }] });
		const all = await sdk.paymentIntents.list({ limit: 2 }).autoPagingToArray({ limit: 100 });
		expect(all.map(({ id }) => id)).toEqual(ids);
	});

	test("filters by the time of creation", async () => {
		const { id, created } = await create();
		await shop.stripe.advance(100);
		await create();
		const old = await sdk.paymentIntents.list({ created: { gte: created, lt: created + 100 } });
		expect(old.data.map((intent) => intent.id)).toEqual([id]);
	});

	test("search finds an intent only after the delay of its index", async () => {
		const { id } = await create({ metadata: { order_id: "o1" } });
		const query = { query: "metadata['order_id']:'o1'" };
		expect((await sdk.paymentIntents.search(query)).data).toEqual([]);
		await shop.stripe.advance(60);
		expect((await sdk.paymentIntents.search(query)).data).toMatchObject([{ id }]);
	});
});
