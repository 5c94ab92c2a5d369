import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Behavior, startStripeProvider } from "../../../../test/support/payment-providers.ts";
import type { Faults } from "../../../../test/support/stripe/faults.ts";
import { random } from "../../../../tools/chaos/random.ts";
import type { PaymentProvider } from "../provider.ts";

const PAYMENTS = 60;
/** Payments at the same time. On a busy machine, the responses to more would exceed the limit. */
const CONCURRENCY = 20;
const TIMEOUT_MS = 1500;
/** About every fifth request fails. */
const FAULTS: Faults = {
	requests: {
		timeoutBefore: 0.01,
		timeoutAfter: 0.02,
		resetBefore: 0.03,
		resetAfter: 0.03,
		serverErrorBefore: 0.04,
		serverErrorAfter: 0.04,
		rateLimit: 0.02,
		lockTimeout: 0.02,
	},
	latencyMs: [0, 10],
};
const MAX_REPETITIONS = 50;

/** Repeats a request, as the payments service does, while its outcome is unknown. */
async function repeat<T>(send: () => Promise<T>): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await send();
		} catch (error) {
			if (attempt === MAX_REPETITIONS) throw error;
		}
	}
}

/** Calls for a payment, and the final entry of the ledger. */
const HISTORIES = [
	{ behavior: "approved", calls: ["charge"], charged: 10, refunded: 0 },
	{ behavior: "approved", calls: ["charge", "charge", "refund"], charged: 10, refunded: 3 },
	{ behavior: "approved", calls: ["authorize", "capture", "refund"], charged: 10, refunded: 3 },
	{ behavior: "approved", calls: ["authorize", "void", "charge"], charged: 0, refunded: 0 },
	{ behavior: "approved", calls: ["void", "charge"], charged: 0, refunded: 0 },
	{ behavior: "declined", calls: ["charge", "void", "charge"], charged: 0, refunded: 0 },
	{ behavior: "debit", calls: ["charge", "void", "settle", "refund"], charged: 10, refunded: 3 },
	{ behavior: "requiresAction", calls: ["charge", "confirm", "charge"], charged: 10, refunded: 0 },
	{ behavior: "requiresAction", calls: ["charge", "void", "charge"], charged: 0, refunded: 0 },
] as const satisfies readonly { behavior: Behavior; [field: string]: unknown }[];
type Call = (typeof HISTORIES)[number]["calls"][number];

test.each([1, 2, 3])("a network with faults changes no result (seed %i)", async (seed) => {
	const tested = await startStripeProvider({ seed, faults: FAULTS }, TIMEOUT_MS);
	try {
		const providers = [tested.provider, tested.createAnother()];
		const { pick } = random(seed);
		async function run(key: string, token: string, call: Call, by: PaymentProvider) {
			const request = { key, amount: 10, currency: "EUR", token, capture: call === "charge" };
			const target = { key, authorization: key };
			if (call === "confirm") await tested.confirm(key, true);
			else if (call === "settle") await tested.settle(key, true);
			else if (call === "void") await by.void([target])[0];
			else if (call === "capture") await by.capture([{ ...target, amount: 10 }])[0];
			else if (call === "refund")
				await by.refund([{ key: `refund ${key}`, authorization: key, amount: 3 }])[0];
			else await by.authorize([request])[0];
		}
		const payments = Array.from({ length: PAYMENTS }, (_, i) => ({
			key: uuid(),
			...HISTORIES[i % HISTORIES.length]!,
		}));
		const left = payments.values();
		async function sendPayments(): Promise<void> {
			for (const { key, behavior, calls } of left)
				for (const call of calls) {
					const [by, other] = [pick(providers), pick(providers)];
					const isLocal = call === "confirm" || call === "settle";
					const send = (provider: PaymentProvider) =>
						repeat(() => run(key, tested.tokens[behavior], call, provider));
					// Two processes send the same request, as after a response that arrives too late.
					await Promise.all(isLocal ? [send(by)] : [send(by), send(other)]);
				}
		}
		await Promise.all(Array.from({ length: CONCURRENCY }, sendPayments));
		await tested.stripe.setFaults({});
		const keys = payments.map(({ key }) => key).sort();
		const after = keys[0]!.slice(0, -1);
		const ledger = await tested.provider.ledgerEntries({
			after,
			upto: keys.at(-1)!,
			limit: 1000,
		});
		const entries = new Map(ledger.map((entry) => [entry.key, entry]));
		for (const { key, charged, refunded, calls } of payments)
			expect([calls, entries.get(key)]).toEqual([calls, { key, authorized: 0, charged, refunded }]);
		const { violations } = await tested.stripe.dump();
		expect(violations.filter(({ rejected }) => !rejected)).toEqual([]);
	} finally {
		await tested.stop();
	}
});
