import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { readEnv } from "../../../../lib/settings/env.ts";
import { eventually, LIMIT_MS } from "../../../../test/support/eventually.ts";
import {
	startStripeProvider,
	type TestedStripe,
} from "../../../../test/support/payment-providers.ts";
import type { PlannedFault } from "../../../../test/support/stripe/faults.ts";
import type { AuthorizeRequest, PaymentProvider } from "../provider.ts";
import { createClient } from "./client.ts";
import { createStripe } from "./provider.ts";

const DAY_SECONDS = 86_400;
const CREATE = "POST /v1/payment_intents";
const CONFIRM = "POST /v1/payment_intents/:id/confirm";
const CAPTURE = "POST /v1/payment_intents/:id/capture";
const CANCEL = "POST /v1/payment_intents/:id/cancel";

let tested: TestedStripe;
let provider: PaymentProvider;
beforeAll(async () => {
	tested = await startStripeProvider({ searchDelaySeconds: 60 });
	provider = tested.provider;
});
afterAll(() => tested?.stop());
afterEach(async () => {
	await tested.stripe.resumeRequests();
	const { violations } = await tested.stripe.dump();
	expect(violations).toEqual([]);
});

const requestOf = (token = "pm_card_visa", more: Partial<AuthorizeRequest> = {}) => ({
	key: uuid(),
	amount: 10,
	currency: "EUR",
	token,
	capture: true,
	...more,
});
const authorize = (request: AuthorizeRequest, by = provider) => by.authorize([request])[0]!;
const voidIt = (key: string) => provider.void([{ key, authorization: key }])[0]!;
const lookup = async (key: string, by = provider) => (await by.lookup([key])[0]!)?.result;
const refund = (authorization: string, key: string, amount: number) =>
	provider.refund([{ key, authorization, amount }])[0]!;
const intentsOf = async (key: string) =>
	(await tested.stripe.dump()).paymentIntents.filter(({ metadata }) => metadata.order_id === key);
const refundsOf = async (key: string) =>
	(await tested.stripe.dump()).refunds.filter(({ metadata }) => metadata?.order_id === key);
const fail = (fault: PlannedFault["fault"], route: string, times = 1) =>
	tested.stripe.failNext({ fault, route, times });
/** Loses the response of a request; the client repeats it once by itself. */
const loseResponse = (route: string) => fail("resetAfter", route, 2);

describe("a payment", () => {
	test("is authorized and then captured, with the order in its metadata", async () => {
		const request = requestOf();
		const captured = { status: "captured", amount: 10, reference: expect.stringMatching(/^pi_/) };
		expect(await authorize(request)).toEqual(captured);
		expect(await intentsOf(request.key)).toMatchObject([
			{ amount: 1000, amount_received: 1000, currency: "eur" },
		]);
		const transactions = (await provider.lookup([request.key])[0]!)!.transactions;
		expect(transactions.map(({ type, state }) => `${type} ${state}`)).toEqual([
			"authorization succeeded",
			"capture succeeded",
		]);
	});

	test.each([
		["JPY", 1500, 1500],
		["KWD", 1.23, 1230],
		["ISK", 150, 15_000],
	])("in %s has Stripe's units", async (currency, amount, units) => {
		const request = requestOf("pm_card_visa", { currency, amount });
		expect(await authorize(request)).toMatchObject({ status: "captured", amount });
		expect(await intentsOf(request.key)).toMatchObject([{ amount: units }]);
	});

	test("of an amount that Stripe cannot charge exactly is declined", async () => {
		const request = requestOf("pm_card_visa", { currency: "KWD", amount: 1.234 });
		const declined = { status: "declined", reason: "Stripe cannot charge exactly this amount" };
		expect(await authorize(request)).toEqual(declined);
		expect(await lookup(request.key)).toEqual(declined);
		expect(await voidIt(request.key)).toEqual(declined);
		expect(await intentsOf(request.key)).toEqual([]);
	});

	test.each([
		["EUR", 1.23, true],
		["KWD", 1.23, true],
		["KWD", 1.234, false],
		["ISK", 150, true],
	])("in %s can be refunded by %d: %s", (currency, amount, isPossible) => {
		expect(provider.canRefund!(amount, currency)).toBe(isPossible);
	});

	test.each([
		["pm_unknown", {}, "resource_missing"],
		["pm_usBankAccount_success", {}, "payment_intent_incompatible_payment_method"],
		["pm_card_chargeDeclinedInsufficientFunds", {}, "insufficient_funds"],
		["pm_card_chargeDeclinedExpiredCard", {}, "expired_card"],
	])("with %s is declined with Stripe's code", async (token, more, code) => {
		const request = requestOf(token, more);
		const declined = await authorize(request);
		expect(declined).toMatchObject({ status: "declined", code });
		expect(await authorize(request)).toEqual(declined);
		for (const intent of await intentsOf(request.key)) expect(intent.status).toBe("canceled");
	});

	test("by iDEAL redirects the buyer and is captured when the buyer confirms", async () => {
		const another = tested.createAnother({ PUBLIC_URL: "https://shop.example" });
		const request = requestOf("pm_ideal", { capture: false });
		expect(await authorize(request, another)).toMatchObject({
			status: "requires_action",
			redirect_url: expect.stringMatching(/^http/),
		});
		const [intent] = await intentsOf(request.key);
		expect(intent!.next_action!.redirect_to_url!.return_url).toBe("https://shop.example");
		await tested.confirm(request.key, true);
		expect(await authorize(request)).toMatchObject({ status: "captured", amount: 10 });
	});

	test("is looked up without a request to Stripe while it is being created", async () => {
		const request = requestOf();
		const patient = tested.createAnother({}, LIMIT_MS);
		const { requests: before } = await tested.stripe.dump();
		await tested.stripe.pauseRequests();
		const authorized = authorize(request, patient);
		await eventually(async () => {
			const { requests } = await tested.stripe.dump();
			expect(requests.length).toBe(before.length + 1);
		});
		const lookups = [lookup(request.key, patient), lookup(request.key, patient)];
		await tested.stripe.resumeRequests();
		const result = await authorized;
		expect(await Promise.all(lookups)).toEqual([result, result]);
		const { requests } = await tested.stripe.dump();
		expect(requests.slice(before.length).map(({ route }) => route)).toEqual([
			CREATE,
			CONFIRM,
			CAPTURE,
		]);
	});

	test("that the buyer pays with another card after a failure is still declined", async () => {
		const request = requestOf("pm_card_authenticationRequired");
		await authorize(request);
		await tested.confirm(request.key, false);
		await tested.stripe.pay(await tested.intentIdOf(request.key), "pm_card_chargeDeclined");
		expect(await lookup(request.key)).toMatchObject({
			status: "declined",
			code: "generic_decline",
		});
		expect(await intentsOf(request.key)).toMatchObject([{ status: "canceled" }]);
	});
});

describe("a request without a usable response", () => {
	test.each([CREATE, CONFIRM, CAPTURE])("%s is repeated under its key", async (route) => {
		const request = requestOf();
		await loseResponse(route);
		await expect(authorize(request)).rejects.toThrow(/connection/);
		expect(await authorize(request, tested.createAnother())).toMatchObject({ status: "captured" });
		expect(await intentsOf(request.key)).toMatchObject([{ amount_received: 1000 }]);
	});

	test.each([
		["serverErrorBefore", CREATE],
		["serverErrorAfter", CREATE],
		["serverErrorBefore", CONFIRM],
		["serverErrorAfter", CONFIRM],
		["serverErrorBefore", CAPTURE],
		["serverErrorAfter", CAPTURE],
	] as const)("continues after %s of %s, which Stripe stores", async (fault, route) => {
		const request = requestOf();
		await fail(fault, route);
		expect(await authorize(request)).toMatchObject({ status: "captured" });
		expect(await intentsOf(request.key)).toMatchObject([{ amount_received: 1000 }]);
	});

	test("is repeated under new keys until Stripe has recovered", async () => {
		const request = requestOf();
		await fail("serverErrorBefore", CAPTURE, 4);
		await expect(authorize(request)).rejects.toThrow(/unknown error/);
		expect(await lookup(request.key)).toMatchObject({ status: "authorized" });
		expect(await authorize(request, tested.createAnother())).toMatchObject({ status: "captured" });
	});

	test.each(["serverErrorBefore", "serverErrorAfter"] as const)(
		"of a refund that Stripe stores (%s) refunds once",
		async (fault) => {
			const [request, id] = [requestOf(), uuid()];
			await authorize(request);
			await fail(fault, "POST /v1/refunds");
			expect(await refund(request.key, id, 4)).toMatchObject({ status: "succeeded" });
			expect(await refund(request.key, id, 4)).toMatchObject({ status: "succeeded" });
			expect(await refundsOf(request.key)).toMatchObject([{ amount: 400 }]);
		},
	);

	test("is inconclusive, and its error contains no client secret", async () => {
		const request = requestOf("pm_card_visa", { capture: false });
		await authorize(request);
		const [intent] = await intentsOf(request.key);
		await fail("rateLimit", CAPTURE);
		const capture = { key: request.key, authorization: request.key, amount: 10 };
		const error = await provider.capture([capture])[0]!.catch((error: unknown) => error);
		expect(error).toMatchObject({ message: expect.stringMatching(/^Stripe: .*429.*req_/) });
		expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(intent!.client_secret);
		expect(await provider.capture([capture])[0]).toMatchObject({ status: "captured" });
	});
});

describe("a void", () => {
	test("of an unknown key rejects a later authorization without a request to Stripe", async () => {
		const request = requestOf();
		expect(await voidIt(request.key)).toEqual({ status: "closed" });
		expect(await authorize(request)).toEqual({ status: "closed" });
		expect(await lookup(request.key)).toEqual({ status: "closed" });
		expect(await intentsOf(request.key)).toEqual([]);
	});

	test("closes a payment whose PaymentIntent is being created", async () => {
		const request = requestOf();
		await tested.stripe.pauseRequests();
		const authorized = authorize(request, tested.createAnother({}, LIMIT_MS));
		await eventually(async () => {
			const { requests } = await tested.stripe.dump();
			expect(requests.at(-1)).toMatchObject({
				route: CREATE,
				idempotencyKey: `order:${request.key}:create`,
			});
		});
		expect(await voidIt(request.key)).toEqual({ status: "closed" });
		await tested.stripe.resumeRequests();
		expect(await authorized).toMatchObject({ status: "closed" });
		expect(await intentsOf(request.key)).toMatchObject([{ status: "canceled" }]);
	});

	test("closes a payment that was created and not confirmed", async () => {
		const request = requestOf();
		await fail("serverErrorBefore", CONFIRM, 3);
		await expect(authorize(request)).rejects.toThrow();
		expect(await lookup(request.key)).toBeUndefined();
		expect(await voidIt(request.key)).toMatchObject({ status: "closed" });
		expect(await authorize(request)).toMatchObject({ status: "closed" });
		expect(await intentsOf(request.key)).toMatchObject([{ status: "canceled" }]);
	});

	test("is completed by the next contact if its cancellation was interrupted", async () => {
		const request = requestOf("pm_card_visa", { capture: false });
		await authorize(request);
		await fail("resetBefore", CANCEL, 2);
		await expect(voidIt(request.key)).rejects.toThrow();
		expect(await intentsOf(request.key)).toMatchObject([{ status: "requires_capture" }]);
		expect(await lookup(request.key)).toMatchObject({ status: "closed" });
		expect(await intentsOf(request.key)).toMatchObject([{ status: "canceled" }]);
	});

	test("and a concurrent authorization agree on the result", async () => {
		await tested.stripe.setFaults({ latencyMs: [0, 10] });
		const requests = Array.from({ length: 40 }, () => requestOf());
		await Promise.all(
			requests.map(async (request) => {
				const repeat = (send: () => Promise<unknown>) => eventually(send);
				await Promise.all([repeat(() => authorize(request)), repeat(() => voidIt(request.key))]);
			}),
		);
		await tested.stripe.setFaults({});
		for (const request of requests) {
			const result = await voidIt(request.key);
			expect(["captured", "closed"]).toContain(result.status);
			expect(await authorize(request)).toEqual(result);
			expect(await lookup(request.key)).toEqual(result);
		}
	});
});

describe("a refund", () => {
	test("of a disputed payment fails", async () => {
		const request = requestOf();
		await authorize(request);
		await tested.dispute(request.key);
		const reason = expect.stringMatching(/charged back/);
		expect(await refund(request.key, uuid(), 4)).toMatchObject({ status: "failed", reason });
	});

	test("that was created at Stripe has Stripe's ID as its reference", async () => {
		const request = requestOf("pm_card_pendingRefund");
		await authorize(request);
		const { sdk } = clientOf();
		const { id } = await sdk.refunds.create({
			payment_intent: await tested.intentIdOf(request.key),
			amount: 300,
		});
		const { transactions } = (await provider.lookup([request.key])[0]!)!;
		expect(transactions).toContainEqual(
			expect.objectContaining({ type: "refund", state: "requested", reference: id, amount: 3 }),
		);
	});
});

const clientOf = () => createClient(readEnv(settings()));
const settings = () => ({
	STRIPE_SECRET_KEY: tested.stripe.apiKey,
	STRIPE_WEBHOOK_SECRET: tested.stripe.webhookSecret,
	STRIPE_API_URL: tested.stripe.url,
});

test.each(["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])(
	"creating the provider without %s throws an error that names it",
	(name) => {
		const env = readEnv({ ...settings(), [name]: "" });
		const dependencies = { db: tested.db, env, logger: console as never };
		expect(() => createStripe(dependencies)).toThrow(
			`PAYMENT_PROVIDER is stripe, but ${name} is missing: set it or ${name}_FILE`,
		);
	},
);

/** These tests are the last ones, because they advance the clock of the stand-in. */
describe("after days, the provider", () => {
	test("closes a payment whose authorization has expired", async () => {
		const request = requestOf("pm_card_visa", { capture: false });
		expect(await authorize(request)).toMatchObject({ status: "authorized" });
		await tested.stripe.advance(8 * DAY_SECONDS);
		expect(await lookup(request.key)).toMatchObject({ status: "closed" });
		expect(await authorize({ ...request, capture: true })).toMatchObject({ status: "closed" });
	});

	test("looks up the PaymentIntent of a request whose key Stripe may have forgotten", async () => {
		const request = requestOf();
		await loseResponse(CREATE);
		await expect(authorize(request)).rejects.toThrow();
		await tested.stripe.advance(DAY_SECONDS + 1);
		await tested.databases.query(
			"payments",
			"update stripe_intents set created_at = now() - interval '25 hours' where key = $1",
			[request.key],
		);
		expect(await authorize(request)).toMatchObject({ status: "captured" });
		expect(await intentsOf(request.key)).toMatchObject([{ amount_received: 1000 }]);
	});

	test("looks up a refund whose key Stripe may have forgotten", async () => {
		const [request, id] = [requestOf(), uuid()];
		await authorize(request);
		await loseResponse("POST /v1/refunds");
		await expect(refund(request.key, id, 4)).rejects.toThrow();
		await tested.stripe.advance(DAY_SECONDS + 1);
		expect(await refund(request.key, id, 4)).toMatchObject({ status: "succeeded" });
		expect(await refundsOf(request.key)).toMatchObject([{ amount: 400 }]);
	});
});
