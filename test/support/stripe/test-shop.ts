import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import { type StripeOptions, type StripeStandIn, startStripe } from "./server.ts";

interface ReceivedWebhook {
	readonly event: Stripe.Event;
	readonly body: string;
	readonly headers: IncomingHttpHeaders;
}
/** A stand-in with the SDK as its client, and a server that receives its webhooks. */
export interface TestShop {
	readonly stripe: StripeStandIn;
	readonly sdk: Stripe;
	readonly received: ReceivedWebhook[];
	/** URL of the server that receives webhooks. */
	readonly webhookUrl: string;
	/** Delays the responses to webhooks until it settles. */
	hold: Promise<void> | undefined;
	/** Types of the received events, in order. */
	types(): string[];
	/** Statuses of the next responses to webhooks; 200 after them. */
	readonly responses: number[];
	close(): Promise<void>;
}

/** Starts a stand-in whose webhooks arrive in `received`. */
export async function startTestShop(options: StripeOptions = {}): Promise<TestShop> {
	const received: ReceivedWebhook[] = [];
	const responses: number[] = [];
	const server = createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on("data", (chunk: Buffer) => chunks.push(chunk));
		request.on("end", async () => {
			const body = Buffer.concat(chunks).toString("utf8");
			received.push({ event: JSON.parse(body) as Stripe.Event, body, headers: request.headers });
			await shop.hold;
			response.writeHead(responses.shift() ?? 200).end();
		});
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const webhookUrl = `http://127.0.0.1:${port}/webhooks`;
	const stripe = await startStripe({ webhookUrl, ...options });
	const shop: TestShop = {
		stripe,
		webhookUrl,
		hold: undefined,
		sdk: clientOf(stripe),
		received,
		types: () => received.map(({ event }) => event.type),
		responses,
		async close() {
			await stripe.close();
			await new Promise((resolve) => server.close(resolve));
		},
	};
	return shop;
}

/** An SDK client that does not retry, except once after a reset connection. */
export const clientOf = (
	{ apiKey, config }: Pick<StripeStandIn, "apiKey" | "config">,
	more: Stripe.StripeConfig = {},
): Stripe =>
	new Stripe(apiKey, { ...config, maxNetworkRetries: 0, timeout: 5000, telemetry: false, ...more });

/** Parameters of a card payment that is authorized at once. */
export const AUTHORIZED = {
	amount: 1000,
	currency: "eur",
	capture_method: "manual",
	allowed_payment_method_types: ["card"],
	payment_method: "pm_card_visa",
	confirm: true,
} as const satisfies Stripe.PaymentIntentCreateParams;
/** Parameters of a card payment that is captured at once. */
export const PAID = {
	...AUTHORIZED,
	capture_method: "automatic",
} as const satisfies Stripe.PaymentIntentCreateParams;

/** The SDK's error of a rejected request. */
export function failure(request: Promise<unknown>): Promise<Stripe.errors.StripeError> {
	return request.then(
		() => {
			throw new Error("The request succeeded");
		},
		(error) => error as Stripe.errors.StripeError,
	);
}
