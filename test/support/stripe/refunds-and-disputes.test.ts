import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { AUTHORIZED, failure, PAID, startTestShop, type TestShop } from "./test-shop.ts";

let shop: TestShop;
let sdk: Stripe;

beforeAll(async () => {
	shop = await startTestShop();
	({ sdk } = shop);
});
beforeEach(async () => {
	await shop.stripe.reset();
	shop.received.length = 0;
});
afterAll(() => shop.close());

const pay = (params: Partial<Stripe.PaymentIntentCreateParams> = {}) =>
	sdk.paymentIntents.create({ ...PAID, ...params });
const chargeOf = async (id: string) =>
	(await sdk.paymentIntents.retrieve(id, { expand: ["latest_charge"] }))
		.latest_charge as Stripe.Charge;
const violations = async () => (await shop.stripe.dump()).violations;

describe("refunds", () => {
	test("partial refunds are created, retrieved and listed", async () => {
		const { id } = await pay();
		const first = await sdk.refunds.create({
			payment_intent: id,
			amount: 300,
			metadata: { refund_id: "r1" },
		});
		expect(first).toMatchObject({ status: "succeeded", amount: 300, payment_intent: id });
		const rest = await sdk.refunds.create({ payment_intent: id });
		expect(rest.amount).toBe(700);
		expect(await sdk.refunds.retrieve(first.id)).toMatchObject({ metadata: { refund_id: "r1" } });
		await pay();
		const listed = await sdk.refunds.list({ payment_intent: id });
		expect(listed.data.map((refund) => refund.id)).toEqual([rest.id, first.id]);
		expect(await chargeOf(id)).toMatchObject({ refunded: true, amount_refunded: 1000 });
		await shop.stripe.webhooksDelivered();
		expect(shop.types()).toEqual(expect.arrayContaining(["refund.created", "charge.refunded"]));
		expect(await violations()).toEqual([]);
	});

	test("refunds over the captured amount are rejected and recorded", async () => {
		const { id } = await sdk.paymentIntents.create(AUTHORIZED);
		expect(await failure(sdk.refunds.create({ payment_intent: id }))).toMatchObject({
			code: "payment_intent_unexpected_state",
		});
		await sdk.paymentIntents.capture(id, { amount_to_capture: 600 });
		expect(await failure(sdk.refunds.create({ payment_intent: id, amount: 601 }))).toMatchObject({
			statusCode: 400,
			param: "amount",
		});
		await sdk.refunds.create({ payment_intent: id, amount: 600 });
		expect(await failure(sdk.refunds.create({ payment_intent: id, amount: 1 }))).toMatchObject({
			statusCode: 400,
			code: "charge_already_refunded",
		});
		const excessive = { kind: "refund_over_captured", paymentIntents: [id], rejected: true };
		expect(await violations()).toMatchObject([excessive, excessive]);
	});

	test("a pending refund counts until it fails", async () => {
		await shop.stripe.startRefundsAs("pending");
		const { id } = await pay();
		const refund = await sdk.refunds.create({ payment_intent: id });
		expect(refund.status).toBe("pending");
		expect(await failure(sdk.refunds.create({ payment_intent: id }))).toMatchObject({
			code: "charge_already_refunded",
		});
		await shop.stripe.resolveRefund(refund.id, "failed");
		expect(await sdk.refunds.retrieve(refund.id)).toMatchObject({ status: "failed" });
		expect(await chargeOf(id)).toMatchObject({ amount_refunded: 0, refunded: false });
		await shop.stripe.webhooksDelivered();
		expect(shop.types()).toEqual(expect.arrayContaining(["refund.updated", "refund.failed"]));
		const second = await sdk.refunds.create({ payment_intent: id });
		expect(await shop.stripe.resolveRefund(second.id, "succeeded")).toMatchObject({
			status: "succeeded",
		});
	});

	test("a refund fails after it succeeded", async () => {
		const { id } = await pay({ payment_method: "pm_card_refundFail" });
		const refund = await sdk.refunds.create({ payment_intent: id });
		await shop.stripe.resolveRefund(refund.id, "failed");
		expect(await chargeOf(id)).toMatchObject({ amount_refunded: 0 });
		const second = await sdk.refunds.create({ payment_intent: id });
		expect(second.status).toBe("succeeded");
		expect((await violations()).filter(({ rejected }) => !rejected)).toEqual([]);
	});

	test("a pending refund is canceled", async () => {
		const { id } = await pay({ payment_method: "pm_card_pendingRefund" });
		const refund = await sdk.refunds.create({ payment_intent: id });
		expect(await sdk.refunds.cancel(refund.id)).toMatchObject({ status: "canceled" });
		expect(await failure(sdk.refunds.cancel(refund.id))).toMatchObject({ statusCode: 400 });
	});
});

describe("disputes", () => {
	test("a dispute is opened, listed and lost", async () => {
		const { id } = await pay();
		const dispute = await shop.stripe.openDispute(id, { amount: 400, reason: "duplicate" });
		const listed = await sdk.disputes.list({ payment_intent: id });
		expect(listed.data).toMatchObject([
			{ id: dispute.id, amount: 400, reason: "duplicate", status: "needs_response" },
		]);
		const charge = await chargeOf(id);
		expect(charge.disputed).toBe(true);
		expect(await sdk.charges.retrieve(charge.id)).toMatchObject({ id: charge.id });
		expect((await sdk.charges.list({ payment_intent: id })).data).toHaveLength(1);
		expect(await failure(sdk.refunds.create({ payment_intent: id }))).toMatchObject({
			code: "charge_disputed",
		});
		await shop.stripe.closeDispute(dispute.id, "lost");
		expect(await sdk.disputes.retrieve(dispute.id)).toMatchObject({ status: "lost" });
		await shop.stripe.webhooksDelivered();
		expect(shop.types().filter((type) => type.startsWith("charge.dispute"))).toEqual([
			"charge.dispute.created",
			"charge.dispute.funds_withdrawn",
			"charge.dispute.closed",
		]);
	});

	test("a won dispute returns the money", async () => {
		const card = { payment_method: "pm_card_createDispute" };
		const { id } = await sdk.paymentIntents.create({ ...AUTHORIZED, ...card });
		await sdk.paymentIntents.capture(id);
		const [dispute] = (await sdk.disputes.list({ payment_intent: id })).data;
		await shop.stripe.closeDispute(dispute!.id, "won");
		await shop.stripe.webhooksDelivered();
		expect(shop.types().at(-1)).toBe("charge.dispute.funds_reinstated");
		expect((await sdk.refunds.create({ payment_intent: id })).amount).toBe(1000);
	});
});

describe("violations", () => {
	test("excessive and repeated captures are rejected and recorded", async () => {
		const { id } = await sdk.paymentIntents.create(AUTHORIZED);
		expect(
			await failure(sdk.paymentIntents.capture(id, { amount_to_capture: 1001 })),
		).toMatchObject({ statusCode: 400, code: "amount_too_large" });
		await sdk.paymentIntents.capture(id);
		await failure(sdk.paymentIntents.capture(id));
		expect(await violations()).toMatchObject([
			{ kind: "capture_over_authorization", paymentIntents: [id], rejected: true },
			{ kind: "repeated_capture", paymentIntents: [id], rejected: true },
		]);
	});

	test("an order that pays twice is recorded until one payment is refunded", async () => {
		const metadata = { order_id: "o1" };
		const [first, second] = [await pay({ metadata }), await pay({ metadata })];
		expect(await violations()).toMatchObject([
			{ kind: "order_charged_twice", paymentIntents: [first.id, second.id], rejected: false },
		]);
		await sdk.refunds.create({ payment_intent: second.id });
		expect(await violations()).toEqual([]);
	});
});
