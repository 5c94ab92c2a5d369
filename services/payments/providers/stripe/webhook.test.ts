import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import Stripe from "stripe";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../../lib/persistence/database.ts";
import {
	startStripeProvider,
	type TestedStripe,
} from "../../../../test/support/payment-providers.ts";
import type { PaymentProvider } from "../provider.ts";
import { createWebhooks } from "./webhook.ts";

const [OLD, NEW, OTHER] = ["whsec_old", "whsec_new", "whsec_other"] as const;
const TOLERANCE_SECONDS = 300;

let tested: TestedStripe;
let provider: PaymentProvider;
/** The payment that the events concern. */
let key: string;
beforeAll(async () => {
	tested = await startStripeProvider({ webhookSecret: OLD });
	provider = tested.provider;
	key = await pay();
});
afterAll(() => tested?.stop());

async function pay(token = "pm_card_visa"): Promise<string> {
	const key = uuid();
	await provider.authorize([{ key, amount: 10, currency: "EUR", token, capture: true }])[0];
	return key;
}
/** An event of the stand-in, as it is sent. */
async function eventOf(type: string): Promise<{ id: string; body: string }> {
	const { events } = await tested.stripe.dump();
	const event = events.findLast((one) => one.type === type)!;
	return { id: event.id, body: JSON.stringify(event, null, 2) };
}
const { webhooks } = new Stripe("sk_test_signatures");
const signatureOf = (payload: string, secret: string, ageSeconds = 0) =>
	webhooks.generateTestHeaderString({
		payload,
		secret,
		timestamp: Math.floor(Date.now() / 1000) - ageSeconds,
	});
const verify = async (body: string | Buffer, signature: string | undefined, by = provider) =>
	by.verifyWebhook!(Buffer.from(body), { "stripe-signature": signature });
const invalid = { code: 400, type: "INVALID_SIGNATURE" };
const malformed = { code: 400, type: "MALFORMED_BODY" };

test("accepts a signed webhook and returns the payment of its event", async () => {
	const { id, body } = await eventOf("payment_intent.succeeded");
	expect(await verify(body, signatureOf(body, OLD))).toEqual({
		id,
		type: "payment_intent.succeeded",
		key,
	});
});

test("rejects a webhook without a signature, or with one of another form", async () => {
	const { body } = await eventOf("payment_intent.succeeded");
	const { v1, ...parts } = Object.fromEntries(
		signatureOf(body, OLD)
			.split(",")
			.map((part) => part.split("=")),
	);
	for (const signature of [undefined, "", "nonsense", `v1=${v1}`, `t=${parts.t},v0=${v1}`])
		await expect(verify(body, signature)).rejects.toMatchObject(invalid);
});

test("rejects a webhook with the signature of another secret", async () => {
	const { body } = await eventOf("payment_intent.succeeded");
	await expect(verify(body, signatureOf(body, OTHER))).rejects.toMatchObject(invalid);
});

test("rejects a webhook that is older than five minutes, and accepts a younger one", async () => {
	const { body } = await eventOf("payment_intent.succeeded");
	const old = signatureOf(body, OLD, TOLERANCE_SECONDS + 2);
	await expect(verify(body, old)).rejects.toMatchObject(invalid);
	const young = signatureOf(body, OLD, TOLERANCE_SECONDS - 60);
	expect(await verify(body, young)).toMatchObject({ key });
});

test("rejects a webhook of which one byte was changed", async () => {
	const { body } = await eventOf("payment_intent.succeeded");
	const signature = signatureOf(body, OLD);
	for (const position of [0, body.length >> 1, body.length - 1]) {
		const changed = Buffer.from(body);
		changed[position]! ^= 1;
		await expect(verify(changed, signature)).rejects.toMatchObject(invalid);
	}
});

test.each([
	"garbage",
	"null",
	"[]",
	'"text"',
	"{}",
	'{"object": "v2.core.event", "id": "evt_1", "type": "v1.billing.meter.no_meter_found"}',
	'{"id": "evt_1", "type": "charge.succeeded", "data": null}',
	'{"id": "evt_1", "type": "charge.succeeded", "data": {}}',
	'{"id": "evt_1", "type": "charge.succeeded", "data": {"object": "ch_1"}}',
	'{"id": 1, "type": "charge.succeeded", "data": {"object": {}}}',
])("rejects the signed body %s, which is not an event", async (body) => {
	await expect(verify(body, signatureOf(body, OLD))).rejects.toMatchObject(malformed);
	await expect(verify(body, signatureOf(body, OTHER))).rejects.toMatchObject(invalid);
	const rotating = tested.createAnother({ STRIPE_WEBHOOK_SECRET: `${NEW},${OLD}` });
	await expect(verify(body, signatureOf(body, OLD), rotating)).rejects.toMatchObject(malformed);
});

test("rejects a signed empty body", async () => {
	const [timestamp] = signatureOf("{}", OLD).slice("t=".length).split(",");
	const mac = createHmac("sha256", OLD).update(`${timestamp}.`).digest("hex");
	await expect(verify("", `t=${timestamp},v1=${mac}`)).rejects.toMatchObject(malformed);
});

test("accepts both secrets during a rotation, and signatures with several parts", async () => {
	const rotating = tested.createAnother({ STRIPE_WEBHOOK_SECRET: `${NEW},${OLD}` });
	const { body } = await eventOf("payment_intent.succeeded");
	for (const secret of [OLD, NEW])
		expect(await verify(body, signatureOf(body, secret), rotating)).toMatchObject({ key });
	await expect(verify(body, signatureOf(body, OTHER), rotating)).rejects.toMatchObject(invalid);
	await expect(verify(body, signatureOf(body, NEW))).rejects.toMatchObject(invalid);
	const [, otherPart] = signatureOf(body, OTHER).split(",");
	const both = signatureOf(body, OLD).replace(",", `,${otherPart},`);
	expect(await verify(body, both)).toMatchObject({ key });
});

test("finds the payment of events about charges, refunds and disputes", async () => {
	const refunded = await pay();
	await provider.refund([{ key: uuid(), authorization: refunded, amount: 1 }])[0];
	for (const type of ["refund.created", "charge.refunded", "charge.succeeded"]) {
		const { body } = await eventOf(type);
		expect(await verify(body, signatureOf(body, OLD))).toMatchObject({ type, key: refunded });
	}
	const disputed = await pay("pm_card_createDispute");
	const { body } = await eventOf("charge.dispute.created");
	expect(await verify(body, signatureOf(body, OLD))).toMatchObject({ key: disputed });
});

test("finds no payment for an event about another payment or object", async () => {
	const { body } = await eventOf("payment_intent.succeeded");
	const event = JSON.parse(body) as { data: { object: Record<string, unknown> } };
	const objects = [
		{ ...event.data.object, id: "pi_unknown" },
		{ object: "charge", id: "ch_1", payment_intent: null },
		{ object: "refund", id: "re_1", payment_intent: "pi_unknown" },
		{ object: "balance" },
	];
	for (const object of objects) {
		const other = JSON.stringify({ ...event, data: { object } });
		expect(await verify(other, signatureOf(other, OLD))).toMatchObject({ key: null });
	}
});

test("lists recent events about disputes and failed refunds", async () => {
	const disputed = await pay("pm_card_createDispute");
	const failed = await pay("pm_card_refundFail");
	const [refunded] = provider.refund([{ key: uuid(), authorization: failed, amount: 10 }]);
	await refunded;
	const { refunds } = await tested.stripe.dump();
	const open = refunds.filter(({ status }) => status !== "failed");
	await Promise.all(open.map(({ id }) => tested.stripe.resolveRefund(id, "failed")));
	const events = await provider.recentEvents!();
	expect(events).toEqual(
		expect.arrayContaining([
			{ id: expect.any(String), type: "charge.dispute.created", key: disputed },
			{ id: expect.any(String), type: "refund.failed", key: failed },
		]),
	);
	expect(events.filter(({ type }) => type.startsWith("payment_intent."))).toEqual([]);
});

test("lists many recent events with a single database connection", async () => {
	const intents = [await tested.intentIdOf(key), "pi_unknown", null];
	const events = Array.from({ length: 1000 }, (_, i) => ({
		id: `evt_${i}`,
		type: "charge.dispute.created",
		data: { object: { object: "dispute", payment_intent: intents[i % intents.length] } },
	}));
	const list = () => ({ autoPagingToArray: async () => events });
	const sdk = { events: { list } } as unknown as Stripe;
	const db = new Database({ url: databaseUrl(tested.databases.pattern, "payments"), poolSize: 1 });
	try {
		const { recentEvents } = createWebhooks({ db, sdk, secrets: [] });
		expect(await recentEvents()).toEqual(
			events.map(({ id, type }, i) => ({ id, type, key: i % intents.length === 0 ? key : null })),
		);
	} finally {
		await db.close();
	}
});
