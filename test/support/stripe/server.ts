import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import { apiHandler } from "./api.ts";
import { type Controls, createControls } from "./controls.ts";
import type { RequestRecord } from "./dump.ts";
import { type Faults, faultPlans } from "./faults.ts";
import { createGate } from "./gate.ts";
import { idempotencyKeys } from "./idempotency.ts";
import { createState } from "./state.ts";
import { testHandler } from "./test-routes.ts";
import type { WebhookOptions } from "./webhook-endpoint.ts";
import { webhookSender } from "./webhooks.ts";

export interface StripeOptions extends Partial<WebhookOptions> {
	/** Port on 127.0.0.1; any free port by default. */
	readonly port?: number;
	/** Seed of the faults; random by default. */
	readonly seed?: number;
	readonly faults?: Faults;
	/** URLs that receive all events; `addWebhookEndpoint` adds more. */
	readonly webhookUrl?: string | readonly string[];
	/** One secret, or two during a rotation. */
	readonly webhookSecret?: string | readonly string[];
	readonly apiKey?: string;
	/** Period until an authorization expires, in seconds; 7 days by default. */
	readonly authorizationSeconds?: number;
	/** Time until search finds a new intent, in seconds; 0 by default. */
	readonly searchDelaySeconds?: number;
	/** Metadata field that identifies an order, for the violation `order_charged_twice`. */
	readonly orderKey?: string;
}
/** A running stand-in, with the test controls as methods. */
export interface StripeStandIn extends Controls {
	readonly url: string;
	readonly host: string;
	readonly port: number;
	readonly apiKey: string;
	/** Secret of the first webhook endpoint. */
	readonly webhookSecret: string;
	readonly seed: number;
	/** Connection settings for `new Stripe(apiKey, config)`. */
	readonly config: { readonly host: string; readonly port: number; readonly protocol: "http" };
	close(): Promise<void>;
}

const HOST = "127.0.0.1";
const WEEK_SECONDS = 7 * 86_400;
const WEBHOOKS: WebhookOptions = {
	retryMs: 50,
	maxRetryMs: 2000,
	maxAttempts: 100,
	timeoutMs: 5000,
	concurrency: 1,
};

/** Starts a stand-in for Stripe's API on 127.0.0.1. See README.md. */
export async function startStripe(options: StripeOptions = {}): Promise<StripeStandIn> {
	const { apiKey = "sk_test_stand_in", seed = randomInt(2 ** 31), orderKey = "order_id" } = options;
	const faults = faultPlans(seed, options.faults);
	const webhooks = webhookSender({ ...WEBHOOKS, ...definedOf(options) }, faults);
	const state = createState({
		apiVersion: Stripe.API_VERSION,
		authorizationSeconds: options.authorizationSeconds ?? WEEK_SECONDS,
		searchDelaySeconds: options.searchDelaySeconds ?? 0,
		publish: webhooks.publish,
		endpointsFor: (type) => webhooks.endpointsFor(type).length,
	});
	const secrets = [options.webhookSecret ?? "whsec_stand_in"].flat();
	for (const url of [options.webhookUrl ?? []].flat()) webhooks.add({ url, secrets });

	const requests: RequestRecord[] = [];
	const keys = idempotencyKeys(state.nowMs);
	const gate = createGate();
	let isOffline = false;
	const baseUrl = () => `http://${HOST}:${(server.address() as AddressInfo).port}`;
	const controls = createControls({
		state,
		faults,
		webhooks,
		requests,
		gate,
		baseUrl,
		orderKey,
		setOffline(offline) {
			isOffline = offline;
			webhooks.pause(offline);
		},
		clearKeys: keys.clear,
	});
	const api = apiHandler({ state, faults, keys, gate, requests, apiKey, baseUrl });
	const test = testHandler(controls);
	const server = createServer((request, response) => {
		if (request.url?.startsWith("/test/")) void test(request, response);
		else if (isOffline) request.socket.resetAndDestroy();
		else void api(request, response);
	});
	server.listen(options.port ?? 0, HOST);
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		...controls,
		url: baseUrl(),
		host: HOST,
		port,
		apiKey,
		webhookSecret: secrets[0]!,
		seed,
		config: { host: HOST, port, protocol: "http" },
		async close() {
			webhooks.clear();
			gate.resume();
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

/** The webhook options that are given. */
const definedOf = (options: StripeOptions): Partial<WebhookOptions> =>
	Object.fromEntries(
		(Object.keys(WEBHOOKS) as (keyof WebhookOptions)[])
			.filter((name) => options[name] !== undefined)
			.map((name) => [name, options[name]]),
	);
