import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { eventually } from "../eventually.ts";
import type { PlannedFault } from "./faults.ts";
import { failure, PAID, startTestShop, type TestShop } from "./test-shop.ts";

const CREATE = "POST /v1/payment_intents";
let shop: TestShop;
let sdk: Stripe;

beforeAll(async () => {
	shop = await startTestShop();
	({ sdk } = shop);
});
beforeEach(async () => {
	await shop.stripe.reset();
	await shop.stripe.setFaults({});
});
afterAll(() => shop.close());

const create = (idempotencyKey: string, amount = 1000) =>
	sdk.paymentIntents.create({ ...PAID, amount }, { idempotencyKey });
/** A request that never receives a response. */
const createInVain = (idempotencyKey: string) =>
	failure(sdk.paymentIntents.create(PAID, { idempotencyKey, timeout: 500 }));
const fail = (fault: PlannedFault["fault"], times = 1) =>
	shop.stripe.failNext({ fault, route: CREATE, times });
const intents = async () => (await shop.stripe.dump()).paymentIntents.length;

describe("idempotency keys", () => {
	test("a key replays its response", async () => {
		const first = await create("k");
		const second = await create("k");
		expect(second.id).toBe(first.id);
		expect(second.lastResponse.headers).toMatchObject({
			"idempotent-replayed": "true",
			"original-request": first.lastResponse.requestId,
			"idempotency-key": "k",
		});
		expect(await intents()).toBe(1);
	});

	test("a key replays a decline", async () => {
		const declined = () =>
			failure(
				sdk.paymentIntents.create(
					{ ...PAID, payment_method: "pm_card_chargeDeclined" },
					{ idempotencyKey: "k" },
				),
			);
		const [first, second] = [await declined(), await declined()];
		expect(second.payment_intent!.id).toBe(first.payment_intent!.id);
		expect(await intents()).toBe(1);
	});

	test("a key with other parameters is rejected", async () => {
		await create("k");
		expect(await failure(create("k", 2000))).toMatchObject({
			type: "StripeIdempotencyError",
			statusCode: 400,
			rawType: "idempotency_error",
		});
	});

	test("a key in flight is rejected with 409", async () => {
		await shop.stripe.pauseRequests();
		const first = create("k");
		const error = await eventually(async () => {
			expect((await shop.stripe.dump()).requests).toHaveLength(1);
			return failure(create("k"));
		});
		expect(error).toMatchObject({ statusCode: 409, code: "idempotency_key_in_use" });
		await shop.stripe.resumeRequests();
		expect((await first).status).toBe("succeeded");
	});

	test("a key ends after 24 hours", async () => {
		const first = await create("k");
		await shop.stripe.advance(86_400);
		expect((await create("k")).id).not.toBe(first.id);
	});

	test("a validation error is not stored", async () => {
		expect(await failure(create("k", 0))).toMatchObject({ code: "parameter_invalid_integer" });
		expect((await create("k")).status).toBe("succeeded");
	});
});

describe("request faults", () => {
	test("a timeout before the effect leaves nothing", async () => {
		await fail("timeoutBefore");
		expect(await createInVain("k")).toMatchObject({ type: "StripeConnectionError" });
		expect(await intents()).toBe(0);
		expect((await create("k")).status).toBe("succeeded");
	});

	test("a timeout after the effect is replayed", async () => {
		await fail("timeoutAfter");
		expect(await createInVain("k")).toMatchObject({ type: "StripeConnectionError" });
		expect(await intents()).toBe(1);
		const replayed = await create("k");
		expect(replayed.lastResponse.headers["idempotent-replayed"]).toBe("true");
		expect(await intents()).toBe(1);
	});

	test.each(["resetBefore", "resetAfter"] as const)(
		"the SDK retries once after %s",
		async (fault) => {
			await fail(fault);
			expect((await create("k")).status).toBe("succeeded");
			expect(await intents()).toBe(1);
			await fail(fault, 2);
			expect(await failure(create("k2"))).toMatchObject({ type: "StripeConnectionError" });
		},
	);

	test.each([
		["serverErrorBefore", 0],
		["serverErrorAfter", 1],
	] as const)("%s is stored under the key", async (fault, effects) => {
		await fail(fault);
		const [first, second] = [await failure(create("k")), await failure(create("k"))];
		expect(first).toMatchObject({
			type: "StripeAPIError",
			statusCode: 500,
			headers: { "stripe-should-retry": "false" },
		});
		expect(second).toMatchObject({ statusCode: 500, headers: { "idempotent-replayed": "true" } });
		expect(await intents()).toBe(effects);
	});

	test("rate limits and lock timeouts are not stored", async () => {
		await fail("rateLimit");
		expect(await failure(create("k"))).toMatchObject({ statusCode: 429, code: "rate_limit" });
		await fail("lockTimeout");
		expect(await failure(create("k"))).toMatchObject({
			type: "StripeRateLimitError",
			code: "lock_timeout",
			headers: { "stripe-should-retry": "true" },
		});
		expect((await create("k")).status).toBe("succeeded");
	});

	test("probabilities apply to every route, and the dump names the faults", async () => {
		await shop.stripe.setFaults({ requests: { rateLimit: 1 } });
		expect(await failure(sdk.paymentIntents.list())).toMatchObject({ statusCode: 429 });
		expect((await shop.stripe.dump()).requests).toMatchObject([
			{ route: "GET /v1/payment_intents", fault: "rateLimit", status: 429 },
		]);
	});

	test("latency delays the effect", async () => {
		await shop.stripe.setFaults({ latencyMs: [1, 3] });
		expect((await create("k")).status).toBe("succeeded");
	});

	test("an offline stand-in resets connections and holds webhooks", async () => {
		const { id } = await sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		await shop.stripe.webhooksDelivered();
		const before = shop.received.length;
		await shop.stripe.goOffline();
		expect(await failure(create("k"))).toMatchObject({ type: "StripeConnectionError" });
		await shop.stripe.pay(id);
		const marker = { method: "POST", body: '{"type":"marker"}', headers: { connection: "close" } };
		await fetch(shop.webhookUrl, marker);
		expect(shop.types().slice(before)).toEqual(["marker"]);
		await shop.stripe.goOnline();
		await shop.stripe.webhooksDelivered();
		expect(shop.types().slice(before + 1)).toEqual([
			"charge.succeeded",
			"payment_intent.succeeded",
		]);
		expect((await create("k")).status).toBe("succeeded");
	});
});
