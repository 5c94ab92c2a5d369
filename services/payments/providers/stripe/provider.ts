import { toStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type {
	CaptureRequest,
	PaymentProvider,
	ProviderDependencies,
	ProviderRecord,
	ProviderResult,
} from "../provider.ts";
import { createOnce } from "./attempts.ts";
import { createClient } from "./client.ts";
import { withoutResponse } from "./errors.ts";
import { createIntents } from "./intents.ts";
import { createLedger } from "./ledger.ts";
import { chargeOf, endOf, recordOf, resultOf } from "./record.ts";
import { createRefunds } from "./refunds.ts";
import { createRows } from "./rows.ts";
import type { IntentRow } from "./statements.ts";
import { createWebhooks } from "./webhook.ts";

/** A payment takes up to four requests, of a few hundred milliseconds each. */
const LIMITS = { totalMs: 3000, idleMs: 500 };

/**
 * Payments through Stripe: one PaymentIntent per order, and one row in `stripe_intents`. Payment
 * methods that support it are authorized and then captured, in two requests, so that a payment can
 * be voided in between.
 *
 * Requests of a batch run concurrently. A declined payment is final: its intent is canceled before
 * the result is returned.
 * @param timeoutMs time limit for a response of Stripe
 * @throws StartError if a setting is missing
 */
export function createStripe(
	{ db, env, logger }: ProviderDependencies,
	timeoutMs?: number,
): PaymentProvider {
	const { sdk, secrets, close } = createClient(env, timeoutMs);
	const rows = createRows(db);
	const once = createOnce(db);
	const returnUrl = env.PUBLIC_URL ?? `http://localhost:${env.PORT}`;
	const intents = createIntents({ rows, sdk, once, returnUrl });
	const refunds = createRefunds({ sdk, once });
	const ledger = createLedger({ db, sdk, logger, listRefunds: refunds.listOf });

	/** Payments that this process is creating. */
	const creations = new Map<string, Promise<ProviderResult>>();

	function authorize(row: IntentRow): Promise<ProviderResult> {
		const result = intents.advance(row);
		if (row.intent_id) return result;
		const remove = () => creations.delete(row.key);
		creations.set(row.key, result);
		result.then(remove, remove);
		return result;
	}

	async function capture({ key, authorization, amount }: CaptureRequest): Promise<ProviderResult> {
		const found = await rows.find(authorization);
		if (!found) throw new Error("The authorization does not exist");
		if (!found.intent_id && isOver(found)) return endOf(found);
		const { intent } = await retrieveClosed(found);
		// Read again: an earlier capture has stored its key before it changed the intent.
		const row = (await rows.find(authorization))!;
		const isOpen = intent.status === "requires_capture";
		if (isOpen && amount > row.amount!) throw new Error("The amount exceeds the authorization");
		const claimed = isOpen ? await rows.claimCapture(row.key, key) : row;
		const isCaptured = isOpen || intent.status === "succeeded";
		if (isCaptured && (claimed.capture_key ?? claimed.key) !== key)
			throw new Error("The authorization is captured under another key");
		const payment = await intents.capture({ row: claimed, intent }, amount);
		return required(resultOf(payment.row, payment.intent));
	}

	/** Retrieves the intent of a payment, and cancels it if the payment has ended. */
	async function retrieveClosed(row: IntentRow) {
		if (!row.intent_id) throw new Error("The payment has no PaymentIntent yet");
		return intents.close({ row, intent: await intents.retrieve(row.intent_id) });
	}

	async function voidPayment(marked: IntentRow): Promise<ProviderResult> {
		// An intent that is being created is canceled by its creator, which reads the row afterwards.
		if (!marked.intent_id) return endOf(marked);
		const canceled = await intents.cancel(marked.intent_id);
		const { row, intent } = await intents.close({ row: marked, intent: canceled });
		return required(resultOf(row, intent));
	}

	/**
	 * Record of a payment that this process is creating. The payments service looks a payment up
	 * repeatedly while it waits for its creation; these lookups must not use up Stripe's rate limit.
	 */
	async function beingCreated(key: string): Promise<ProviderRecord | null> {
		const result = await creations.get(key)?.catch(() => null);
		return result ? { result, transactions: [] } : null;
	}

	async function lookup(found: IntentRow | undefined): Promise<ProviderRecord | null> {
		const created = found && (await beingCreated(found.key));
		if (created) return created;
		if (!found?.intent_id) return found && isOver(found) ? emptyRecord(found) : null;
		const { row, intent } = await retrieveClosed(found);
		const isCaptured = intent.status === "succeeded";
		const [refundList, disputes] = await Promise.all([
			isCaptured ? refunds.listOf(intent.id) : [],
			isCaptured && chargeOf(intent)?.disputed ? disputesOf(intent.id) : [],
		]);
		return recordOf(row, { intent, refunds: refundList, disputes });
	}

	const disputesOf = async (payment_intent: string) =>
		(await sdk.disputes.list({ payment_intent, limit: 100 })).data;

	return {
		name: "stripe",
		limits: LIMITS,
		authorize(requests) {
			if (requests.length === 0) return [];
			const begun = rows.begin(requests);
			return requests.map(async ({ key }) => authorize((await begun).get(key)!).catch(rethrow));
		},
		capture: (requests) => requests.map((request) => capture(request).catch(rethrow)),
		void(requests) {
			if (requests.length === 0) return [];
			const closed = rows.close(requests.map(({ authorization }) => authorization));
			return requests.map(async ({ authorization }) =>
				voidPayment((await closed).get(authorization)!).catch(rethrow),
			);
		},
		refund: (requests) =>
			requests.map(async (request) =>
				refunds.refund(request, await rows.find(request.authorization)).catch(rethrow),
			),
		canRefund: (amount, currency) => toStripeUnits(amount, currency) !== undefined,
		findRefunds: (requests) =>
			requests.map(async ({ key, authorization }) =>
				refunds.find(key, await rows.find(authorization)).catch(rethrow),
			),
		lookup(keys) {
			if (keys.length === 0) return [];
			const found = rows.findAll(keys);
			// Awaited below, unless all payments are being created.
			found.catch(() => undefined);
			return keys.map(async (key) => {
				// Before the row is read: the creation may end meanwhile.
				const created = await beingCreated(key);
				return created ?? lookup((await found).get(key)).catch(rethrow);
			});
		},
		ledgerEntries: (range) => ledger(range).catch(rethrow),
		...createWebhooks({ db, sdk, secrets }),
		close: async () => close(),
	};
}

/** Errors of the SDK contain the response; see {@link withoutResponse}. */
function rethrow(error: unknown): never {
	throw withoutResponse(error);
}

/** @throws if the intent is not confirmed */
function required(result: ProviderResult | null): ProviderResult {
	if (!result) throw new Error("The payment is not confirmed");
	return result;
}

const isOver = ({ closed, decline_reason }: IntentRow) => closed || decline_reason !== null;

/** The record of a payment for which no intent was created. */
function emptyRecord(row: IntentRow): ProviderRecord {
	const common = { reference: row.key, amount: row.amount ?? 0, at: row.created_at };
	return {
		result: endOf(row),
		transactions: [
			row.decline_reason
				? { ...common, type: "capture", state: "failed", reason: row.decline_reason }
				: { ...common, type: "void", state: "succeeded" },
		],
	};
}
