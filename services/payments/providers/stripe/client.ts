import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Stripe from "stripe";
import { StartError } from "../../../../lib/process/start-error.ts";
import type { Env } from "../../../../lib/settings/env.ts";

/**
 * Maximum number of requests in flight per process. Further requests wait for a connection: Stripe
 * accepts about 100 requests per second, and a queue is faster than rejected requests. The callers
 * limit its length.
 */
const MAX_IN_FLIGHT = 50;
/** Time limit for a response, without the time in the queue. */
const TIMEOUT_MS = 4000;
/** The callers repeat requests as well. */
const RETRIES = 1;

type StripeEnv = Pick<Env, "STRIPE_SECRET_KEY" | "STRIPE_WEBHOOK_SECRET" | "STRIPE_API_URL">;

/**
 * Creates the client of Stripe's API, and the secrets of its webhooks.
 * @throws StartError if a setting is missing
 */
export function createClient(env: StripeEnv, timeoutMs = TIMEOUT_MS) {
	const { STRIPE_SECRET_KEY: key, STRIPE_WEBHOOK_SECRET: secret, STRIPE_API_URL: url } = env;
	if (!key) throw missing("STRIPE_SECRET_KEY");
	if (!secret) throw missing("STRIPE_WEBHOOK_SECRET");
	const { protocol, hostname, port } = new URL(url ?? "https://api.stripe.com");
	const isHttp = protocol === "http:";
	const options = { keepAlive: true, maxSockets: MAX_IN_FLIGHT };
	const agent = isHttp ? new HttpAgent(options) : new HttpsAgent(options);
	const sdk = new Stripe(key, {
		protocol: isHttp ? "http" : "https",
		host: hostname,
		...(port && { port }),
		httpAgent: agent,
		timeout: timeoutMs,
		maxNetworkRetries: RETRIES,
		telemetry: false,
	});
	return { sdk, secrets: secret.split(","), close: () => agent.destroy() };
}

const missing = (name: string) =>
	new StartError(`PAYMENT_PROVIDER is stripe, but ${name} is missing: set it or ${name}_FILE`);
