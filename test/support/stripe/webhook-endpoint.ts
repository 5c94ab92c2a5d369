import { createHmac } from "node:crypto";
import { request } from "node:http";
import type { StripeEvent } from "./objects.ts";

export interface WebhookEndpoint {
	/** HTTP URL that receives the events. */
	readonly url: string;
	/** One secret, or two during the rotation of the secret. */
	readonly secrets: readonly string[];
	/** Event types; all by default. */
	readonly types?: readonly string[];
}
export interface WebhookOptions {
	/** Pause after the first failed attempt, in milliseconds; doubles up to `maxRetryMs`. */
	readonly retryMs: number;
	readonly maxRetryMs: number;
	readonly maxAttempts: number;
	/** Time limit of an attempt, in milliseconds. */
	readonly timeoutMs: number;
	/** Concurrent attempts per endpoint. 1 preserves the order unless an attempt fails. */
	readonly concurrency: number;
}
/** Record of an attempt, in the dump of the state. */
export interface Attempt {
	readonly event: string;
	readonly type: string;
	readonly url: string;
	/** HTTP status, or the reason why there is none. */
	readonly result: number | string;
}
interface Delivery {
	readonly event: StripeEvent;
	attempts: number;
}

/** Time after which a reordered delivery no longer waits for a following one, in milliseconds. */
const REORDER_MS = 200;

/** `Stripe-Signature` header, https://docs.stripe.com/webhooks#verify-manually */
function signature(payload: string, secrets: readonly string[], seconds: number): string {
	const signed = secrets.map((secret) =>
		createHmac("sha256", secret).update(`${seconds}.${payload}`).digest("hex"),
	);
	return [`t=${seconds}`, ...signed.map((hex) => `v1=${hex}`)].join(",");
}

interface SenderContext {
	readonly options: WebhookOptions;
	readonly attempts: Attempt[];
	readonly onChange: () => void;
	readonly isPaused: () => boolean;
}

/** Queue of one endpoint. */
export function endpointSender(endpoint: WebhookEndpoint, context: SenderContext) {
	const { options, attempts, onChange, isPaused } = context;
	const queue: Delivery[] = [];
	const held: Delivery[] = [];
	const timers = new Set<NodeJS.Timeout>();
	const running = new Set<AbortController>();

	function later(ms: number, work: () => void): void {
		const timer = setTimeout(() => {
			timers.delete(timer);
			work();
		}, ms);
		timers.add(timer);
	}
	function push(delivery: Delivery): void {
		// A held delivery follows the next one, which reverses their order.
		queue.push(delivery, ...held.splice(0));
		run();
	}
	function run(): void {
		while (!isPaused() && running.size < options.concurrency && queue.length > 0)
			void attempt(queue.shift()!);
		onChange();
	}
	async function attempt(delivery: Delivery): Promise<void> {
		const { event } = delivery;
		const abort = new AbortController();
		running.add(abort);
		const result = await post(endpoint, event, options.timeoutMs, abort.signal);
		running.delete(abort);
		if (abort.signal.aborted) return;
		attempts.push({ event: event.id, type: event.type, url: endpoint.url, result });
		delivery.attempts += 1;
		const failed = typeof result === "string" || result < 200 || result >= 300;
		if (failed && delivery.attempts < options.maxAttempts) {
			const pause = Math.min(options.maxRetryMs, options.retryMs * 2 ** (delivery.attempts - 1));
			later(pause, () => push(delivery));
		}
		run();
	}

	return {
		run,
		isIdle: () => queue.length + held.length + timers.size + running.size === 0,
		enqueue(event: StripeEvent, delayMs: number): void {
			const delivery = { event, attempts: 0 };
			if (delayMs > 0) later(delayMs, () => push(delivery));
			else push(delivery);
		},
		/** Sends an event after the following one. */
		hold(event: StripeEvent): void {
			const delivery = { event, attempts: 0 };
			if (held.length > 0) {
				push(delivery);
				return;
			}
			held.push(delivery);
			later(REORDER_MS, () => {
				queue.push(...held.splice(0));
				run();
			});
		},
		clear(): void {
			for (const timer of timers) clearTimeout(timer);
			for (const abort of running) abort.abort();
			timers.clear();
			running.clear();
			queue.length = 0;
			held.length = 0;
		},
	};
}

/** Posts an event. Returns the status, or the code of the failure. */
function post(
	{ url, secrets }: WebhookEndpoint,
	event: StripeEvent,
	timeoutMs: number,
	signal: AbortSignal,
): Promise<number | string> {
	const payload = JSON.stringify(event, null, 2);
	// Clients compare the timestamp with their own clock, hence not the stand-in's clock.
	const header = signature(payload, secrets, Math.floor(Date.now() / 1000));
	return new Promise((resolve) => {
		const sent = request(url, {
			method: "POST",
			agent: false,
			timeout: timeoutMs,
			signal,
			headers: {
				"content-type": "application/json; charset=utf-8",
				"content-length": Buffer.byteLength(payload),
				"stripe-signature": header,
				"user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
			},
		});
		sent.on("response", (response) => {
			response.resume();
			response.on("close", () => resolve(response.statusCode ?? 0));
		});
		sent.on("timeout", () => sent.destroy(Object.assign(new Error(), { code: "ETIMEDOUT" })));
		sent.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
		sent.end(payload);
	});
}
