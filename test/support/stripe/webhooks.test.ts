import { afterEach, describe, expect, test } from "@jest/globals";
import Stripe from "stripe";
import { eventually } from "../eventually.ts";
import type { StripeOptions } from "./server.ts";
import { PAID, startTestShop, type TestShop } from "./test-shop.ts";

let shop: TestShop;
const start = async (options: StripeOptions = {}) => {
	shop = await startTestShop(options);
	return shop;
};
afterEach(() => shop.close());

const PAID_EVENTS = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"];

describe("events", () => {
	test("are listed by type and time, and retrieved", async () => {
		const { sdk } = await start();
		const { id, created } = await sdk.paymentIntents.create(PAID, { idempotencyKey: "k1" });
		const succeeded = await sdk.events.list({ type: "payment_intent.succeeded" });
		expect(succeeded.data).toMatchObject([
			{
				type: "payment_intent.succeeded",
				api_version: Stripe.API_VERSION,
				data: { object: { id, status: "succeeded" } },
				request: { idempotency_key: "k1", id: expect.stringMatching(/^req_/) },
			},
		]);
		expect((await sdk.events.list({ type: "charge.*" })).data).toHaveLength(1);
		expect((await sdk.events.list({ types: PAID_EVENTS.slice(0, 2) })).data).toHaveLength(2);
		expect((await sdk.events.list({ created: { lt: created } })).data).toEqual([]);
		const [event] = succeeded.data;
		expect(await sdk.events.retrieve(event!.id)).toMatchObject({ id: event!.id });
	});

	test("contain the object as it was", async () => {
		const { sdk } = await start();
		await sdk.paymentIntents.create(PAID);
		const { data } = await sdk.events.list({ type: "payment_intent.created" });
		expect(data[0]!.data.object).toMatchObject({ status: "requires_confirmation" });
	});
});

describe("webhooks", () => {
	test("are signed with each secret, in order", async () => {
		const { sdk, stripe, received, types } = await start({
			webhookSecret: ["whsec_old", "whsec_new"],
		});
		await sdk.paymentIntents.create(PAID);
		await stripe.webhooksDelivered();
		expect(types()).toEqual(PAID_EVENTS);
		const { body, headers } = received[0]!;
		const header = headers["stripe-signature"] as string;
		for (const secret of ["whsec_old", "whsec_new"])
			expect(sdk.webhooks.constructEvent(body, header, secret).type).toBe(PAID_EVENTS[0]);
		expect(() => sdk.webhooks.constructEvent(body, header, "whsec_other")).toThrow("signature");
	});

	test("are retried until the endpoint responds with 2xx", async () => {
		const { sdk, stripe, responses, received } = await start({ retryMs: 1 });
		responses.push(500, 404, 302);
		await sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		await stripe.webhooksDelivered();
		expect(new Set(received.map(({ event }) => event.id)).size).toBe(1);
		expect((await stripe.dump()).deliveries.map(({ result }) => result)).toEqual([
			500, 404, 302, 200,
		]);
	});

	test("are abandoned after the last attempt", async () => {
		const { sdk, stripe, responses } = await start({ retryMs: 1, maxAttempts: 2 });
		responses.push(500, 500);
		await sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		await stripe.webhooksDelivered();
		expect((await stripe.dump()).deliveries).toHaveLength(2);
	});

	test("wait while they are paused, and are delivered again on demand", async () => {
		const { sdk, stripe, received, types } = await start();
		await stripe.pauseWebhooks();
		await sdk.paymentIntents.create(PAID);
		expect(received).toEqual([]);
		await stripe.resumeWebhooks();
		await stripe.webhooksDelivered();
		expect(types()).toEqual(PAID_EVENTS);
		await stripe.redeliver(received[0]!.event.id);
		await stripe.webhooksDelivered();
		expect(types()).toEqual([...PAID_EVENTS, PAID_EVENTS[0]]);
	});

	test("are filtered by the types of an endpoint", async () => {
		const { sdk, stripe, types, webhookUrl } = await start({ webhookUrl: undefined });
		const filter = ["payment_intent.succeeded"];
		await stripe.addWebhookEndpoint({ url: webhookUrl, secrets: ["whsec_2"], types: filter });
		await sdk.paymentIntents.create(PAID);
		await stripe.webhooksDelivered();
		expect(types()).toEqual(filter);
		const { data } = await sdk.events.list();
		expect(data.map(({ pending_webhooks }) => pending_webhooks)).toEqual([1, 0, 0]);
	});

	test("arrive at each of several endpoints", async () => {
		const other = await startTestShop();
		const { sdk, stripe, types, webhookUrl } = await start({ webhookUrl: other.webhookUrl });
		await stripe.addWebhookEndpoint({ url: webhookUrl, secrets: ["whsec_2"] });
		await sdk.paymentIntents.create(PAID);
		await stripe.webhooksDelivered();
		expect(types()).toEqual(PAID_EVENTS);
		expect(other.types()).toEqual(PAID_EVENTS);
		await other.close();
	});

	test("arrive concurrently if the endpoint allows it", async () => {
		const started = await start({ concurrency: 3 });
		const { promise, resolve } = Promise.withResolvers<void>();
		started.hold = promise;
		await started.sdk.paymentIntents.create(PAID);
		await eventually(() => expect(started.received).toHaveLength(3));
		resolve();
		await started.stripe.webhooksDelivered();
	});

	test("are retried after a timeout", async () => {
		const started = await start({ timeoutMs: 20, maxAttempts: 2, retryMs: 1 });
		const { promise, resolve } = Promise.withResolvers<void>();
		started.hold = promise;
		await started.sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		await started.stripe.webhooksDelivered();
		resolve();
		const { deliveries } = await started.stripe.dump();
		expect(deliveries.map(({ result }) => result)).toEqual(["ETIMEDOUT", "ETIMEDOUT"]);
	});

	test("are retried after a refused connection", async () => {
		const closed = await startTestShop();
		await closed.close();
		const webhookUrl = closed.webhookUrl;
		const { stripe, sdk } = await start({ webhookUrl, maxAttempts: 2, retryMs: 1 });
		await sdk.paymentIntents.create({ amount: 1000, currency: "eur" });
		await stripe.webhooksDelivered();
		const { deliveries } = await stripe.dump();
		expect(deliveries.map(({ result }) => result)).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
	});
});

describe("webhook faults", () => {
	const create = async (webhooks: Record<string, number>, options: StripeOptions = {}) => {
		const started = await start({
			seed: 1,
			faults: { webhooks, webhookDelayMs: [1, 5] },
			...options,
		});
		await started.sdk.paymentIntents.create(PAID);
		await started.stripe.webhooksDelivered();
		return started;
	};

	test("drop every delivery", async () => {
		const { received, stripe } = await create({ drop: 1 });
		expect(received).toEqual([]);
		expect((await stripe.dump()).deliveries.map(({ result }) => result)).toEqual([
			"dropped",
			"dropped",
			"dropped",
		]);
	});

	test("duplicate every delivery", async () => {
		const { types } = await create({ duplicate: 1 });
		expect(types()).toEqual(PAID_EVENTS.flatMap((type) => [type, type]));
	});

	test("delay every delivery", async () => {
		const { types } = await create({ delay: 1 });
		expect(types().sort()).toEqual([...PAID_EVENTS].sort());
	});

	test("reverse the order of each two deliveries", async () => {
		const { types } = await create({ reorder: 1 });
		expect(types()).toEqual(["charge.succeeded", "payment_intent.created", PAID_EVENTS[2]]);
	});

	test("repeat with the same seed", async () => {
		const webhooks = { drop: 0.25, duplicate: 0.5 };
		const first = (await create(webhooks, { seed: 9 })).types();
		await shop.close();
		expect((await create(webhooks, { seed: 9 })).types()).toEqual(first);
	});
});
