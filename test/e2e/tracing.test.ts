import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	orderRequest,
	register,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type ReceivedSpan, type Receiver, startReceiver, tree } from "../support/otlp-receiver.ts";
import { type Shop, startShop } from "../support/shop.ts";

let receiver: Receiver;
let mail: MailServer;
let shop: Shop;
let admin: Customer;
let product: { id: string };
beforeAll(async () => {
	[receiver, mail] = await Promise.all([startReceiver(), startMailServer()]);
	shop = await startShop({
		env: {
			OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
			OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
			OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=blue%20room",
			SMTP_URL: mail.url,
		},
	});
	admin = await makeAdmin(shop);
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(async () => {
	await shop?.stop();
	await Promise.all([receiver?.stop(), mail?.stop()]);
});

const hex = (bytes: number) => randomBytes(bytes).toString("hex");
const newTrace = (flags = "01") => {
	const id = hex(16);
	return { id, headers: { traceparent: `00-${id}-${hex(8)}-${flags}` } };
};
const spansOf = (id: string) => receiver.spans.filter(({ trace }) => trace === id);
const named = (spans: readonly ReceivedSpan[], name: string) =>
	spans.filter((span) => span.name === name);
/** Waits for a trace until spans with these names have been received. */
const waitForTrace = (id: string, ...last: string[]) =>
	eventually(() => {
		const spans = spansOf(id);
		expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(last));
		return spans;
	});
const place = (customer: Customer, headers: Record<string, string>, overrides: object = {}) =>
	clientOf(shop, customer).orders.create({ ...orderRequest(product), ...overrides }, { headers });

/** Spans of lookups that an order needs only if they are not cached. */
const CACHED = [
	"by_ids",
	...["promotions.automatic", "find_automatic"],
	...["shipping.status", "list_methods"],
	...["tax.status", "is_configured"],
];

test("an order is one trace from the request to the e-mail", async () => {
	const customer = await register(shop);
	const { id, headers } = newTrace();
	expect((await place(customer, headers).withResponse()).status).toBe(201);
	const spans = await waitForTrace(id, "mail", "saga", "POST /api/orders");
	// Users, products and what prices depend on may come from a cache.
	expect(tree(spans.filter(({ name }) => !CACHED.includes(name)))).toEqual([
		"api server POST /api/orders",
		"  orders internal orders.create",
		"    inventory internal inventory.reserve",
		"      inventory client reserve_new",
		"    orders client idempotency_find",
		"    orders client idempotency_store",
		"    orders client place",
		"    orders internal saga",
		"      orders client complete",
		"      payments internal payments.charge",
		"        payments client ledger_charge_new",
		"        payments client record_new",
		"      shipping internal shipping.schedule",
		"        shipping client schedule_new",
		"    orders producer send order.confirmed",
		"      notifications client commit",
		"      notifications client inbox_receive",
		"      notifications client start transaction",
		"      notifications consumer process order.confirmed",
		"        notifications client mail",
		"          notifications client count_recipient",
		"        notifications client messages_queue",
		"    products internal products.resolve",
		"    users internal users.resolve",
	]);
	const [request] = named(spans, "POST /api/orders");
	expect(request!.parent).toBe(headers.traceparent.split("-")[2]);
	expect(request!.attributes).toEqual({
		"http.request.method": "POST",
		"http.route": "/api/orders",
		"http.response.status_code": 201,
	});
	expect(request!.resource).toEqual({
		"service.name": "api",
		"service.namespace": "moleculer-commerce",
		"service.version": "0.1.0",
		"service.instance.id": shop.broker.nodeID,
		"deployment.environment": "blue room",
		"deployment.environment.name": "blue room",
	});
	expect(named(spans, "reserve_new")[0]!.attributes).toMatchObject({
		"db.system": "postgresql",
		"db.operation.name": "reserve_new",
	});
	expect(named(spans, "mail")[0]!.attributes).toMatchObject({
		"mail.template": "order_confirmed",
		"mail.status": "sent",
	});
});

test("batched orders have complete traces of their own", async () => {
	const customer = await register(shop);
	const traces = Array.from({ length: 12 }, () => newTrace());
	await Promise.all(traces.map(({ headers }) => place(customer, headers)));
	for (const { id } of traces) {
		const spans = await waitForTrace(id, "mail", "saga");
		const lines = tree(spans).map((line) => line.trim());
		for (const [service, action, statement] of [
			["inventory", "inventory.reserve", "reserve_new"],
			["payments", "payments.charge", "record_new"],
			["shipping", "shipping.schedule", "schedule_new"],
		])
			expect(lines).toEqual(
				expect.arrayContaining([`${service} internal ${action}`, `${service} client ${statement}`]),
			);
		expect(named(spans, "inventory.reserve")).toHaveLength(1);
		expect(named(spans, "payments.charge")[0]!.parent).toBe(named(spans, "saga")[0]!.id);
	}
	const sizes = traces.flatMap(({ id }) =>
		spansOf(id).map(({ attributes }) => Number(attributes["batch.size"] ?? 0)),
	);
	expect(Math.max(...sizes)).toBeGreaterThan(1);
});

test("a compensated order's trace contains the reason but no failed span", async () => {
	const customer = await register(shop);
	const { id, headers } = newTrace();
	const undeliverable = place(customer, headers, { shipping_address: "Undeliverable 1" });
	expect((await problemOf(undeliverable)).status).toBe(409);
	const spans = await waitForTrace(id, "mail", "saga", "POST /api/orders");
	const [saga] = named(spans, "saga");
	expect(saga!.events).toEqual([
		{ name: "compensation", attributes: { step: "schedule", reason: "UNDELIVERABLE" } },
	]);
	expect(saga!.attributes).toMatchObject({ "saga.end": "closed" });
	for (const undo of ["inventory.release", "payments.reverse", "shipping.unschedule"])
		expect(named(spans, undo).map(({ parent }) => parent)).toEqual([saga!.id]);
	expect(named(spans, "shipping.schedule")[0]!.attributes).toMatchObject({
		"order.outcome": "refused",
		"order.refusal": "UNDELIVERABLE",
	});
	expect(spans.filter(({ failed }) => failed)).toEqual([]);
});

test("a request starts a trace unless its client disabled sampling", async () => {
	const { id, headers } = newTrace("00");
	await clientOf(shop).products.list({ q: "unsampled" }, { headers });
	await shop.http("GET /api/products/not-an-id");
	const [rejected] = await eventually(() => {
		const found = named(receiver.spans, "GET /api/products/:id");
		expect(found).toHaveLength(1);
		return found;
	});
	expect(rejected).toMatchObject({
		parent: undefined,
		failed: false,
		attributes: { "http.response.status_code": 422 },
	});
	expect(spansOf(id)).toEqual([]);
});

test("spans contain neither user input nor tokens", async () => {
	const email = "planted.secret@example.com";
	const account = { email, password: "planted password", full_name: "Planted Name" };
	const { id, headers } = newTrace();
	const { auth, users, products } = clientOf(shop).with({ headers });
	await users.create(account);
	await problemOf(users.create(account));
	const { access_token: token } = await auth.login({ email, password: account.password });
	await problemOf(auth.login({ email, password: "a planted wrong one" }));
	const { orders } = clientOf(shop, { token }).with({ headers });
	const request = orderRequest(product);
	const place = { shipping_address: "Planted Street 1", payment_token: "tok_ok" };
	await orders.create({ ...request, ...place });
	const declined = await problemOf(orders.create({ ...request, payment_token: "tok_planted" }));
	const { id: placed } = await orders.create(request);
	await orders.cancel({ id: placed, reason: "PLANTED_REASON" });
	await users.requestPasswordReset({ email });
	await products.list({ q: "planted-search" });
	expect(declined.status).toBe(402);
	const mails = () =>
		named(spansOf(id), "mail").map(({ attributes }) => attributes["mail.template"]);
	await eventually(() =>
		expect(mails()).toEqual(
			expect.arrayContaining(["welcome", "password_reset", "order_cancelled"]),
		),
	);
	const mailed = mail.mails.map(({ text }) => text).join();
	const links = [...mailed.matchAll(/token=([\w-]+)/g)].map(([, secret]) => secret!);
	expect(links.length).toBeGreaterThan(0);
	const everything = receiver.bodies.join("\n");
	for (const secret of ["planted", "Planted", "PLANTED", token, ...links, "127.0.0.1", "tok_"])
		expect([secret, everything.includes(secret)]).toEqual([secret, false]);
});
