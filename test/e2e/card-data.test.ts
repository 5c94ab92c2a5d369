import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	orderRequest,
	register,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { type Receiver, startReceiver } from "../support/otlp-receiver.ts";
import { type Shop, startShop } from "../support/shop.ts";

/** Stripe's test cards, https://docs.stripe.com/testing */
const CARDS = ["4242424242424242", "4000 0027 6000 3184", "378282246310005", "5555-5555-5555-4444"];

let receiver: Receiver;
let shop: Shop;
let buyer: Customer;
let product: { id: string };
const log: string[] = [];
beforeAll(async () => {
	receiver = await startReceiver();
	shop = await startShop({
		env: {
			LOGLEVEL: "debug",
			OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
			OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
		},
		onLog: (line) => log.push(line),
	});
	const admin = await makeAdmin(shop);
	[buyer, product] = [await register(shop), await makeProduct(shop, admin)];
});
afterAll(async () => {
	await shop?.stop();
	await receiver?.stop();
});

/** Texts that contain one of the cards, with or without separators. */
const leaks = (texts: readonly string[]) =>
	texts.filter((text) => {
		const digits = text.replaceAll(/(?<=\d)[ -](?=\d)/g, "");
		return CARDS.some((card) => digits.includes(card.replaceAll(/\D/g, "")));
	});

/** Every row of every table of a service, as text. */
async function rowsOf(service: string): Promise<string[]> {
	const tables = await shop.databases.query<{ name: string }>(
		service,
		"select relname as name from pg_class " +
			"where relnamespace = current_schema::regnamespace and relkind = 'r'",
	);
	const rows = await Promise.all(
		tables.map(({ name }) =>
			shop.databases.query<{ row: string }>(service, `select t::text as row from "${name}" t`),
		),
	);
	return rows.flat().map(({ row }) => row);
}

test("card numbers are rejected, and reach no log, trace, response or database", async () => {
	const responses: string[] = [];
	for (const payment_token of CARDS) {
		const { orders } = clientOf(shop, buyer);
		const refused = await problemOf(orders.create({ ...orderRequest(product), payment_token }));
		expect([refused.status, refused.errors]).toEqual([
			422,
			[
				{
					field: "payment_token",
					code: "CARD_NUMBER",
					message: "Send the payment provider's ID of the payment method, never a card number",
				},
			],
		]);
		responses.push(JSON.stringify([refused, refused.message, [...refused.headers]]));
		// A client that sends the card in an object, or under another name.
		for (const over of [{ payment_token: { number: payment_token } }, { card: payment_token }]) {
			const rejected = await shop.http("POST /api/orders", {
				token: buyer.token,
				body: orderRequest(product, over),
			});
			expect(rejected.status).toBe(422);
			responses.push(JSON.stringify(rejected.body));
		}
	}
	// Logs and spans are complete once those of a later order have arrived.
	const { id } = await clientOf(shop, buyer).orders.create(orderRequest(product));
	await eventually(() => expect(JSON.stringify(receiver.spans)).toContain(id));
	expect(log.length).toBeGreaterThan(10);
	expect(leaks(log)).toEqual([]);
	expect(leaks(responses)).toEqual([]);
	expect(leaks(receiver.spans.map((span) => JSON.stringify(span)))).toEqual([]);
	const rows = (await Promise.all(domains.map(rowsOf))).flat();
	expect(rows.some((row) => row.includes(id))).toBe(true);
	expect(leaks(rows)).toEqual([]);
});
