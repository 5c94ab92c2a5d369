import { createHmac, timingSafeEqual } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { throwError } from "../../lib/contracts/contract.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { stubbedServices } from "../../test/support/gateway.ts";
import { newOrder, type Order, paymentActions } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { payments } from "./payments.contract.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { createWebhooks } from "./payments.webhooks.ts";
import type { Headers, PaymentProvider, WebhookEvent } from "./providers/provider.ts";

const SECRET = "a secret for tests";
const LIMIT_PER_MINUTE = 5;
let shop: Shop;
let provider: { -readonly [K in keyof PaymentProvider]: PaymentProvider[K] };
let webhooks: ReturnType<typeof createWebhooks>;
/** Bodies and headers that passed the gateway. */
let received: { readonly body: Buffer; readonly headers: Headers }[];
beforeAll(async () => {
	shop = await startShop({
		services: ["payments", "api"],
		stubs: stubbedServices(),
		env: { RATE_LIMIT_ENABLED: "true", RATE_LIMIT_PER_MINUTE: String(LIMIT_PER_MINUTE) },
	});
	const service = shop.broker.getLocalService("payments") as unknown as Dependencies & {
		webhooks: typeof webhooks;
	};
	webhooks = service.webhooks;
	provider = service.provider;
	// The simulated provider sends no webhooks.
	provider.verifyWebhook = (body, headers) => {
		received.push({ body, headers });
		const expected = Buffer.from(sign(body));
		const actual = Buffer.from(headers["test-signature"] ?? "");
		if (actual.length !== expected.length || !timingSafeEqual(actual, expected))
			return throwError(payments, "INVALID_SIGNATURE");
		return JSON.parse(body.toString("utf8")) as WebhookEvent;
	};
});
beforeEach(() => {
	received = [];
});
afterAll(() => shop?.stop());
const { chargeFully, eventsOf, list } = paymentActions(() => shop);

const sign = (body: string | Buffer) => createHmac("sha256", SECRET).update(body).digest("hex");
const eventAbout = (key: string | null, id: string = uuid()) =>
	JSON.stringify({ id, type: "payment.succeeded", key });
async function post(body: string | Buffer, headers: Record<string, string> = {}, to = "simulated") {
	const response = await fetch(`${shop.url}/api/payments/webhooks/${to}`, {
		method: "POST",
		headers: { "Content-Type": "application/json", "Test-Signature": sign(body), ...headers },
		body: typeof body === "string" ? body : new Uint8Array(body),
	});
	return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const stored = () =>
	shop.databases.query(
		"payments",
		`select event_id, order_id, attempts, processed_at is not null as processed
		from payment_webhook_events`,
	);
const storedEvent = async (id: string) => (await stored()).find(({ event_id }) => event_id === id);
/** Charges an order that waits, and decides it at the provider without a lookup. */
async function decidedPayment(): Promise<Order> {
	const order = newOrder("tok_3ds");
	await chargeFully(order);
	await provider.simulate!(order.order_id, "succeed");
	return order;
}

test("a webhook is stored once and makes the payment's record be looked up", async () => {
	const order = await decidedPayment();
	const id = uuid();
	const event = eventAbout(order.order_id, id);
	for (let time = 0; time < 3; time++)
		expect(await post(event)).toEqual({ status: 200, body: { received: true } });
	await eventually(async () =>
		expect(await storedEvent(id)).toEqual({
			event_id: id,
			order_id: order.order_id,
			attempts: 1,
			processed: true,
		}),
	);
	expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]);
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.updated"]);
});

test("simultaneous webhooks about one payment capture it once", async () => {
	const order = await decidedPayment();
	const responses = await Promise.all(
		Array.from({ length: 12 }, (_, i) => post(eventAbout(order.order_id, `event ${i % 4}`))),
	);
	expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
	await eventually(async () => {
		const events = await stored();
		expect(events.filter(({ order_id }) => order_id === order.order_id)).toHaveLength(4);
		expect(events.filter(({ processed }) => !processed)).toEqual([]);
	});
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.updated"]);
});

test("rejects a webhook whose signature does not match its bytes, and stores nothing", async () => {
	const before = (await stored()).length;
	const event = eventAbout(uuid());
	const invalid = { status: 400, body: { code: "INVALID_SIGNATURE" } };
	expect(await post(`${event} `, { "Test-Signature": sign(event) })).toMatchObject(invalid);
	expect(await post(event, { "Test-Signature": "" })).toMatchObject(invalid);
	expect(await post("not JSON", { "Test-Signature": sign(event) })).toMatchObject(invalid);
	expect(await stored()).toHaveLength(before);
});

test("responds with 404 for a provider that is not configured", async () => {
	for (const name of ["stripe", "constructor"])
		expect(await post(eventAbout(uuid()), {}, name)).toMatchObject({
			status: 404,
			body: { code: "PROVIDER_NOT_FOUND" },
		});
	expect(received).toEqual([]);
});

test("passes the bytes of any media type unchanged, and no credentials", async () => {
	const bytes = Buffer.from([0, 255, 254, 0x7b, 0xc3, 0x28]);
	const headers = {
		"Content-Type": "application/octet-stream",
		Authorization: "Bearer secret",
		Cookie: "a=b",
	};
	expect(await post(bytes, { ...headers, "Test-Signature": "no" })).toMatchObject({ status: 400 });
	expect(received).toHaveLength(1);
	expect(received[0]!.body.equals(bytes)).toBe(true);
	expect(received[0]!.headers).toMatchObject({ "test-signature": "no" });
	expect(received[0]!.headers).not.toHaveProperty("authorization");
	expect(received[0]!.headers).not.toHaveProperty("cookie");
});

test("rejects a body of more than 256 kB", async () => {
	const largest = Buffer.alloc(256 * 1024, "x");
	expect(await post(largest, { "Test-Signature": "no" })).toMatchObject({ status: 400 });
	expect(await post(Buffer.concat([largest, Buffer.from("x")]))).toMatchObject({
		status: 413,
		body: { code: "PAYLOAD_TOO_LARGE", detail: "The body is larger than 256 kB" },
	});
});

test("does not count webhooks against the rate limit", async () => {
	for (let time = 0; time < 2 * LIMIT_PER_MINUTE; time++)
		expect(await post("", { "Test-Signature": "no" })).toMatchObject({ status: 400 });
});

test("events that concern no order need no processing", async () => {
	const [none, foreign] = [uuid(), uuid()];
	await post(eventAbout(null, none));
	await post(eventAbout("another shop's order", foreign));
	for (const id of [none, foreign])
		expect(await storedEvent(id)).toMatchObject({ order_id: null, processed: true, attempts: 0 });
});

test("an event about an unknown order is processed without effect", async () => {
	const id = uuid();
	await post(eventAbout(uuid(), id));
	await eventually(async () => expect(await storedEvent(id)).toMatchObject({ processed: true }));
});

test("repeats the lookup of an event until the provider responds", async () => {
	const order = await decidedPayment();
	const { lookup } = provider;
	const id = uuid();
	const body = Buffer.from(eventAbout(order.order_id, id));
	provider.lookup = (keys) => keys.map(() => Promise.reject(new Error("Unavailable")));
	await webhooks.receive("simulated", body, { "test-signature": sign(body) });
	await webhooks.consume();
	expect(await storedEvent(id)).toMatchObject({ processed: false, attempts: 1 });
	provider.lookup = lookup;
	await shop.databases.query(
		"payments",
		"update payment_webhook_events set next_at = now() where event_id = $1",
		[id],
	);
	await webhooks.consume();
	expect(await storedEvent(id)).toMatchObject({ processed: true, attempts: 2 });
	expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]);
});

test("deletes events after a month", async () => {
	const [old, recent] = [uuid(), uuid()];
	await post(eventAbout(null, old));
	await post(eventAbout(null, recent));
	await shop.databases.query(
		"payments",
		"update payment_webhook_events set received_at " +
			"= now() - interval '31 days' where event_id = $1",
		[old],
	);
	expect(await webhooks.prune()).toBe(false);
	expect(await storedEvent(old)).toBeUndefined();
	expect(await storedEvent(recent)).toBeDefined();
});

test("stores recent events of the provider whose webhooks were lost, each once", async () => {
	const order = newOrder("tok_3ds");
	await chargeFully(order);
	await (shop.broker.getLocalService("payments") as unknown as Dependencies).provider.simulate!(
		order.order_id,
		"succeed",
	);
	provider.recentEvents = async () => [{ id: "lost", type: "dispute", key: order.order_id }];
	expect(await webhooks.catchUp()).toBe(true);
	expect(await webhooks.catchUp()).toBe(false);
	await webhooks.consume();
	expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]);
});

test("stores many recent events of the provider with a single database connection", async () => {
	const events = Array.from({ length: 1000 }, (_, i) => ({
		id: `many ${i}`,
		type: "dispute",
		key: i % 2 === 0 ? null : `pi_${i}`,
	}));
	const db = new Database({ url: databaseUrl(shop.databases.pattern, "payments"), poolSize: 1 });
	try {
		const { catchUp } = createWebhooks(
			{ db, provider: { ...provider, recentEvents: async () => events } },
			{ lookUp: async () => [] },
		);
		expect(await catchUp()).toBe(true);
		expect(await catchUp()).toBe(false);
	} finally {
		await db.close();
	}
	const ids = (await stored()).map(({ event_id }) => event_id);
	expect(ids).toEqual(expect.arrayContaining(events.map(({ id }) => id)));
});
