import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { v7 as uuid } from "uuid";
import { readEnv } from "../../../../lib/settings/env.ts";
import {
	startStripeProvider,
	type TestedStripe,
} from "../../../../test/support/payment-providers.ts";
import type { PaymentProvider } from "../provider.ts";
import { createClient } from "./client.ts";

const FIRST = "00000000-0000-0000-0000-000000000000";

let tested: TestedStripe;
let provider: PaymentProvider;
let sdk: Stripe;
beforeAll(async () => {
	tested = await startStripeProvider();
	provider = tested.provider;
	({ sdk } = createClient(
		readEnv({
			STRIPE_SECRET_KEY: tested.stripe.apiKey,
			STRIPE_WEBHOOK_SECRET: "whsec_unused",
			STRIPE_API_URL: tested.stripe.url,
		}),
	));
});
afterAll(() => tested?.stop());

const authorize = (key: string, capture: boolean) =>
	provider.authorize([{ key, amount: 10, currency: "EUR", token: "pm_card_visa", capture }])[0]!;
const payElsewhere = (order_id?: string) =>
	sdk.paymentIntents.create({
		amount: 700,
		currency: "eur",
		payment_method: "pm_card_visa",
		allowed_payment_method_types: ["card"],
		confirm: true,
		...(order_id && { metadata: { order_id } }),
	});
const entryOf = async (key: string) =>
	(await provider.ledgerEntries({ after: FIRST, upto: key, limit: 100 })).find(
		(entry) => entry.key === key,
	);

test("a partial capture releases the rest, which is not a refund", async () => {
	const key = uuid();
	await authorize(key, false);
	expect(await entryOf(key)).toEqual({ key, authorized: 10, charged: 0, refunded: 0 });
	await provider.capture([{ key, authorization: key, amount: 6 }])[0];
	expect(await entryOf(key)).toEqual({ key, authorized: 0, charged: 6, refunded: 0 });
	await provider.refund([{ key: uuid(), authorization: key, amount: 2 }])[0];
	expect(await entryOf(key)).toEqual({ key, authorized: 0, charged: 6, refunded: 2 });
});

test("a voided payment keeps no money", async () => {
	const key = uuid();
	await authorize(key, false);
	await provider.void([{ key, authorization: key }])[0];
	expect(await entryOf(key)).toEqual({ key, authorized: 0, charged: 0, refunded: 0 });
});

test("a payment is found although its PaymentIntent was created at another time", async () => {
	const key = uuid();
	await authorize(key, true);
	await tested.databases.query(
		"payments",
		"update stripe_intents set created_at = now() - interval '3 days' where key = $1",
		[key],
	);
	const before = `${key.slice(0, -1)}`;
	expect(await provider.ledgerEntries({ after: before, upto: key, limit: 1 })).toEqual([
		{ key, authorized: 0, charged: 10, refunded: 0 },
	]);
});

test("the last page contains payments with money but without an order", async () => {
	const [known, { id: foreign }, { id: otherIntent }] = [
		uuid(),
		await payElsewhere(),
		await payElsewhere(uuid()),
	];
	await authorize(known, true);
	await sdk.paymentIntents.create({ amount: 500, currency: "eur" });
	const unknown = [foreign, otherIntent].sort();
	const all = await provider.ledgerEntries({ after: FIRST, upto: null, limit: 100 });
	expect(all.slice(-3).map(({ key }) => key)).toEqual([known, ...unknown]);
	expect(all.at(-1)).toEqual({ key: unknown[1], authorized: 0, charged: 7, refunded: 0 });
	expect(await provider.ledgerEntries({ after: FIRST, upto: known, limit: 100 })).toHaveLength(
		all.length - unknown.length,
	);
	const full = await provider.ledgerEntries({ after: FIRST, upto: null, limit: 1 });
	expect(full).toHaveLength(1);
	const last = await provider.ledgerEntries({ after: known, upto: null, limit: 100 });
	expect(last.map(({ key }) => key)).toEqual(unknown);
});
