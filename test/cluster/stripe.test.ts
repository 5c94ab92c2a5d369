import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/servers.ts";
import { type StripeStandIn, startStripe } from "../support/stripe/server.ts";

describeWith(["nats-server", "redis-server"], "payments through Stripe", () => {
	let stripe: StripeStandIn;
	let cluster: Cluster;
	let orders: ClusterNode;
	let admin: Customer;
	let buyer: Customer;
	let product: { id: string };
	beforeAll(async () => {
		stripe = await startStripe();
		cluster = await startCluster({
			services: domains,
			env: {
				RATE_LIMIT_ENABLED: "false",
				PAYMENT_PROVIDER: "stripe",
				STRIPE_SECRET_KEY: stripe.apiKey,
				STRIPE_WEBHOOK_SECRET: stripe.webhookSecret,
				STRIPE_API_URL: stripe.url,
			},
		});
		const others = domains.filter((name) => name !== "orders");
		const [edge] = await Promise.all([
			cluster.start("others", [...others, "api"]),
			cluster.start("orders", ["orders"]).then((node) => (orders = node)),
		]);
		await stripe.addWebhookEndpoint({
			url: `${edge!.url}/api/payments/webhooks/stripe`,
			secrets: [stripe.webhookSecret],
		});
		[admin, buyer] = [await makeAdmin(cluster), await register(cluster)];
		product = await makeProduct(cluster, admin);
	});
	afterAll(async () => {
		await cluster?.stop();
		await stripe?.close();
	});

	const place = async (payment_token: string) =>
		(await placeOrder(cluster, buyer, product, { payment_token })).body;
	const find = async (id: string) =>
		(await cluster.http(`GET /api/orders/${id}`, { token: buyer.token })).body;
	const becomes = (id: string, expected: object) =>
		eventually(async () => expect(await find(id)).toMatchObject(expected));
	const reserved = async () =>
		(await cluster.http(`GET /api/inventory/${product.id}`, {})).body.reserved;
	const intentOf = async (order_id: string) => {
		const { paymentIntents } = await stripe.dump();
		return paymentIntents.find(({ metadata }) => metadata.order_id === order_id)!;
	};
	const paymentOf = async (order_id: string) =>
		(await cluster.http(`GET /api/payments?order_id=${order_id}`, { token: buyer.token })).body[0];

	test("a card is authorized and captured before the response", async () => {
		const order = await place("pm_card_visa");
		expect(order).toMatchObject({ status: "confirmed", payment: null });
		expect(await intentOf(order.id)).toMatchObject({ status: "succeeded", amount_received: 1000 });
	});

	test("a declined card cancels the order", async () => {
		const response = await placeOrder(cluster, buyer, product, {
			payment_token: "pm_card_chargeDeclined",
		});
		expect(response).toMatchObject({ status: 402, body: { code: "PAYMENT_DECLINED" } });
	});

	test("an order waits for 3-D Secure, also after the node that parked it died", async () => {
		const before = await reserved();
		const order = await place("pm_card_authenticationRequired");
		expect(order).toMatchObject({
			status: "pending",
			payment: {
				status: "requires_action",
				client_secret: expect.stringMatching(/^pi_/),
				expires_at: expect.any(String),
			},
		});
		expect(await reserved()).toBe(before + 1);
		await orders.process.kill();
		const other = cluster.start("orders-again", ["orders"]);
		await stripe.authenticate((await intentOf(order.id)).id);
		orders = await other;
		await becomes(order.id, { status: "confirmed", payment: null });
		expect(await paymentOf(order.id)).toMatchObject({ status: "captured", amount: 10 });
	});

	test("an order is confirmed without any webhook", async () => {
		await stripe.pauseWebhooks();
		try {
			const order = await place("pm_ideal");
			expect(order.payment).toMatchObject({ redirect_url: expect.stringMatching(/^http/) });
			await stripe.authenticate((await intentOf(order.id)).id);
			await becomes(order.id, { status: "confirmed" });
		} finally {
			await stripe.resumeWebhooks();
		}
	});

	test("an unconfirmed payment is canceled at Stripe at the end of its window", async () => {
		const before = await reserved();
		const order = await place("pm_card_authenticationRequired");
		const end = async (service: string, text: string) =>
			cluster.databases.query(service, text, [order.id]);
		const past = "now() - interval '1 second'";
		await end("payments", `update payments set expires_at = ${past} where order_id = $1`);
		await end("orders", `update orders set saga_wake_at = ${past} where id = $1`);
		await becomes(order.id, { status: "cancelled", cancellation_reason: "PAYMENT_EXPIRED" });
		expect(await reserved()).toBe(before);
		expect(await intentOf(order.id)).toMatchObject({ status: "canceled" });
	});

	test("a debit confirms the order when the bank settles it", async () => {
		const order = await place("pm_sepaDebit");
		expect(order).toMatchObject({
			status: "pending",
			payment: { status: "processing", expires_at: null },
		});
		await stripe.settle((await intentOf(order.id)).id);
		await becomes(order.id, { status: "confirmed" });
	});

	test("a debit that the bank rejects cancels the order", async () => {
		const order = await place("pm_sepaDebit");
		await stripe.settle((await intentOf(order.id)).id, "failed");
		await becomes(order.id, { status: "cancelled", cancellation_reason: "PAYMENT_DECLINED" });
	});

	test("money that arrives after a cancellation is refunded once", async () => {
		const order = await place("pm_sepaDebit");
		await cluster.http(`POST /api/orders/${order.id}/cancel`, { token: buyer.token, body: {} });
		await becomes(order.id, { status: "cancelled" });
		const { id } = await intentOf(order.id);
		await stripe.settle(id);
		await eventually(async () => {
			const { refunds } = await stripe.dump();
			const own = refunds.filter(({ payment_intent }) => payment_intent === id);
			expect(own).toMatchObject([{ amount: 1000, status: "succeeded" }]);
		});
		await eventually(async () =>
			expect(await paymentOf(order.id)).toMatchObject({ status: "refunded" }),
		);
	});

	test("no request to Stripe moves money twice, and the audit finds nothing", async () => {
		expect((await stripe.dump()).violations).toEqual([]);
		const page = await cluster.call("orders.audit", { quiet: 0, recheck: 500 });
		expect(page.violations).toEqual([]);
	});
});
