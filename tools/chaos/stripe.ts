import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { type Poller, startPoller } from "../../lib/async/poller.ts";
import { toMinorUnits } from "../../lib/money/currency.ts";
import type { Dump } from "../../test/support/stripe/dump.ts";
import type { Faults } from "../../test/support/stripe/faults.ts";
import type { PaymentIntent } from "../../test/support/stripe/objects.ts";
import { type StripeStandIn, startStripe } from "../../test/support/stripe/server.ts";
import { type Finding, finding, HOLDING } from "./checks.ts";
import type { Cluster } from "./cluster.ts";
import { type Random, random } from "./random.ts";

/** One in five requests and half of the webhooks have a fault. */
const FAULTS: Faults = {
	requests: {
		timeoutBefore: 0.02,
		timeoutAfter: 0.02,
		resetBefore: 0.03,
		resetAfter: 0.03,
		serverErrorBefore: 0.03,
		serverErrorAfter: 0.03,
		rateLimit: 0.03,
		lockTimeout: 0.01,
	},
	webhooks: { drop: 0.1, duplicate: 0.15, reorder: 0.15, delay: 0.1 },
	latencyMs: [1, 20],
	webhookDelayMs: [100, 3000],
};
/** Time that buyers have to confirm a payment; short, so that some miss it. */
const WINDOW_MINUTES = "0.1";
/** Seconds until a payer or bank decides; some decide after the end of the window. */
const DECISION_SECONDS = [0, 8] as const;
/** Interval at which banks settle the remaining debits after the faults have ended. */
const SETTLE_MS = 1000;
const EVENTS = ["payment_intent.requires_action", "payment_intent.processing"];

/** Stripe with a misbehaving network, and the payers and banks that decide its payments. */
export interface ChaosStripe {
	/** Settings of the nodes. */
	readonly env: Readonly<Record<string, string>>;
	/** Sends webhooks to the gateways. */
	connect(gateways: readonly string[]): Promise<void>;
	/** Ends all faults; banks decide the remaining debits. */
	stopFaults(): Promise<void>;
	/** Compares Stripe's record with the orders. */
	check(cluster: Pick<Cluster, "query">): Promise<Finding[]>;
	close(): Promise<void>;
}

export async function openStripe(seed: number): Promise<ChaosStripe> {
	const stripe = await startStripe({ seed, faults: FAULTS });
	const payers = await startPayers(stripe, random(seed * 1000 + 998));
	let settling: Poller | undefined;
	await stripe.addWebhookEndpoint({ url: payers.url, secrets: ["payers"], types: EVENTS });
	return {
		env: {
			PAYMENT_PROVIDER: "stripe",
			STRIPE_SECRET_KEY: stripe.apiKey,
			STRIPE_WEBHOOK_SECRET: stripe.webhookSecret,
			STRIPE_API_URL: stripe.url,
			PAYMENT_WINDOW_MINUTES: WINDOW_MINUTES,
		},
		async connect(gateways) {
			for (const url of gateways)
				await stripe.addWebhookEndpoint({
					url: `${url}/api/payments/webhooks/stripe`,
					secrets: [stripe.webhookSecret],
				});
		},
		async stopFaults() {
			await stripe.setFaults({});
			await payers.close();
			const settleDebits = async () => {
				const { paymentIntents } = await stripe.dump();
				for (const { id, status } of paymentIntents)
					if (status === "processing") await stripe.settle(id);
				return false;
			};
			const onError = (error: unknown) => console.error(error);
			settling = startPoller({ intervalMs: SETTLE_MS, poll: settleDebits, onError });
		},
		async check({ query }) {
			const orders = await query<OrderRow>(
				"orders",
				"select id, status, saga_state, total_amount::float8 as total, currency from orders",
			);
			return checkStripe(await stripe.dump(), orders);
		},
		async close() {
			await settling?.stop();
			await payers.close();
			await stripe.close();
		},
	};
}

/**
 * Payers and banks: an HTTP server that receives the events of undecided payments, and decides each
 * some time later. Most approve, some refuse, and some payers never decide.
 */
async function startPayers(stripe: StripeStandIn, rng: Random) {
	let closed = false;
	async function decide({ id, status }: PaymentIntent): Promise<void> {
		const choice = rng.weighted({ succeeded: 75, failed: 15, none: 10 });
		await after(1000 * rng.between(...DECISION_SECONDS), undefined, { ref: false });
		if (closed || choice === "none") return;
		const act = status === "processing" ? stripe.settle : stripe.authenticate;
		// The order may have been cancelled in the meantime, and duplicate events are decided twice.
		await act(id, choice).catch(() => undefined);
	}
	const server = createServer(async (request, response) => {
		const chunks: Buffer[] = [];
		for await (const chunk of request) chunks.push(chunk);
		response.end();
		void decide(JSON.parse(Buffer.concat(chunks).toString()).data.object);
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async close() {
			closed = true;
			server.closeAllConnections();
			server.close();
		},
	};
}

interface OrderRow {
	readonly id: string;
	readonly status: string;
	readonly saga_state: string | null;
	readonly total: number;
	readonly currency: string;
}

/** Findings about a settled shop: captured money without a confirmed order, and the reverse. */
function checkStripe(
	{ paymentIntents, refunds, violations }: Pick<Dump, "paymentIntents" | "refunds" | "violations">,
	orders: readonly OrderRow[],
): Finding[] {
	const refunded = new Map<string, number>();
	for (const { payment_intent, amount, status } of refunds)
		if (status !== "failed" && status !== "canceled")
			refunded.set(payment_intent, (refunded.get(payment_intent) ?? 0) + amount);
	const kept = (intent: PaymentIntent) => intent.amount_received - (refunded.get(intent.id) ?? 0);
	const byOrder = Map.groupBy(paymentIntents, ({ metadata }) => metadata.order_id ?? "");
	const known = new Map(orders.map((order) => [order.id, order]));
	const holding = (id: string) => HOLDING.includes(known.get(id)?.status ?? "");
	return [
		...violations.map(({ kind, paymentIntents: [id], message }) =>
			finding(`STRIPE_${kind.toUpperCase()}`, id ?? "", message),
		),
		...[...byOrder].flatMap(([id, intents]) => {
			const sum = intents.reduce((total, intent) => total + kept(intent), 0);
			if (sum > 0 && !holding(id))
				return [finding("MONEY_KEPT", id, `Stripe holds ${sum} for an order without confirmation`)];
			const open = intents.find(({ status }) => OPEN.includes(status));
			return open && known.get(id)?.saga_state === null
				? [finding("PAYMENT_OPEN", id, `${open.id} is ${open.status}`)]
				: [];
		}),
		...orders.flatMap(({ id, total, currency }) => {
			const sum = (byOrder.get(id) ?? []).reduce((all, intent) => all + kept(intent), 0);
			const price = toMinorUnits(total, currency);
			return holding(id) && sum !== price
				? [finding("WRONG_PAYMENT", id, `Stripe holds ${sum} for a confirmed order of ${price}`)]
				: [];
		}),
	];
}
/** Statuses in which a payment may still succeed. */
const OPEN: readonly string[] = ["requires_action", "requires_capture", "processing"];
