import type { ProviderDependencies } from "../index.ts";
import type {
	CaptureRequest,
	PaymentProvider,
	ProviderRecord,
	ProviderResult,
	VoidRequest,
} from "../provider.ts";
import { createClient } from "./client.ts";
import { withoutResponse } from "./errors.ts";
import { createIntents, type Payment } from "./intents.ts";
import { createLedger } from "./ledger.ts";
import { chargeOf, endOf, recordOf, resultOf } from "./record.ts";
import { createRefunds } from "./refunds.ts";
import { BEGIN, CLAIM_CAPTURE, CLOSE, FIND, type IntentRow } from "./statements.ts";
import { createWebhooks } from "./webhook.ts";

/**
 * Payments through Stripe: one PaymentIntent per order, and one row in `stripe_intents`. Payment
 * methods that support it are authorized and then captured, in two requests, so that a payment can be
 * voided in between.
 *
 * Requests of a batch run concurrently. A declined payment is final: its intent is canceled before
 * the result is returned.
 * @throws StartError if a setting is missing
 */
export function createStripe({ db, env, logger }: ProviderDependencies): PaymentProvider {
	const { sdk, secrets, close } = createClient(env);
	const returnUrl = env.PUBLIC_URL ?? `http://localhost:${env.PORT}`;
	const intents = createIntents({ db, sdk, returnUrl });
	const refunds = createRefunds({ db, sdk });
	const ledger = createLedger({ db, sdk, logger, listRefunds: refunds.listOf });

	const findRows = async (keys: readonly string[]) =>
		byKey(await db.query<IntentRow>(FIND, [keys]));
	const findRow = async (key: string) => (await findRows([key])).get(key);

	async function capture({ key, authorization, amount }: CaptureRequest): Promise<ProviderResult> {
		const { intent } = await paymentOf(await findRow(authorization));
		// Read again: an earlier capture has stored its key before it changed the intent.
		const row = (await findRow(authorization))!;
		if (!intent) return endOf(row);
		const isOpen = intent.status === "requires_capture";
		if (isOpen && amount > row.amount!) throw new Error("The amount exceeds the authorization");
		const claimed = isOpen ? await claimCapture(row, key) : row;
		const isCaptured = isOpen || intent.status === "succeeded";
		if (isCaptured && (claimed.capture_key ?? claimed.key) !== key)
			throw new Error("The authorization is captured under another key");
		const payment = await intents.capture({ row: claimed, intent }, amount);
		return required(resultOf(payment.row, payment.intent));
	}

	const claimCapture = async (row: IntentRow, key: string) =>
		(await db.query<IntentRow>(CLAIM_CAPTURE, [row.key, key]))[0]!;

	/** The payment of a row, without an intent if none was created and none will be. */
	async function paymentOf(
		row: IntentRow | undefined,
	): Promise<Payment | { readonly row: IntentRow; readonly intent: null }> {
		if (row?.intent_id)
			return intents.close({ row, intent: await intents.retrieve(row.intent_id) });
		if (row?.closed || row?.decline_reason) return { row, intent: null };
		throw new Error("The authorization does not exist");
	}

	async function voidPayment(row: IntentRow): Promise<ProviderResult> {
		// An intent that is being created is canceled by its creator, which reads the row afterwards.
		if (!row.intent_id) return endOf(row);
		return required(resultOf(row, await intents.cancel(row.intent_id)));
	}

	async function lookup(row: IntentRow | undefined): Promise<ProviderRecord | null> {
		if (!row) return null;
		if (!row.intent_id) return row.closed || row.decline_reason ? emptyRecord(row) : null;
		const retrieved = await intents.retrieve(row.intent_id);
		const { row: last, intent } = await intents.close({ row, intent: retrieved });
		const isCaptured = intent.status === "succeeded";
		const [refundList, disputes] = await Promise.all([
			isCaptured ? refunds.listOf(intent.id) : [],
			isCaptured && chargeOf(intent)?.disputed ? disputesOf(intent.id) : [],
		]);
		return recordOf(last, { intent, refunds: refundList, disputes });
	}

	const disputesOf = async (payment_intent: string) =>
		(await sdk.disputes.list({ payment_intent, limit: 100 })).data;

	return {
		name: "stripe",
		authorize(requests) {
			if (requests.length === 0) return [];
			const first = [...new Map(requests.map((request) => [request.key, request])).values()];
			const rows = db
				.query<IntentRow>(BEGIN, [
					first.map(({ key }) => key),
					first.map(({ amount }) => amount),
					first.map(({ currency }) => currency),
					first.map(({ token }) => token),
					first.map(({ key, capture }) => (capture ? key : null)),
				])
				.then(byKey);
			return requests.map(async ({ key }) => {
				const row = (await rows).get(key)!;
				return intents.advance(row).catch(rethrow);
			});
		},
		capture: (requests) => requests.map((request) => capture(request).catch(rethrow)),
		void(requests: readonly VoidRequest[]) {
			if (requests.length === 0) return [];
			const keys = [...new Set(requests.map(({ authorization }) => authorization))];
			const rows = db.query<IntentRow>(CLOSE, [keys]).then(byKey);
			return requests.map(async ({ authorization }) =>
				voidPayment((await rows).get(authorization)!).catch(rethrow),
			);
		},
		refund: (requests) =>
			requests.map(async (request) =>
				refunds.refund(request, await findRow(request.authorization)).catch(rethrow),
			),
		findRefunds: (requests) =>
			requests.map(async ({ key, authorization }) =>
				refunds.find(key, await findRow(authorization)).catch(rethrow),
			),
		lookup(keys) {
			if (keys.length === 0) return [];
			const rows = findRows(keys);
			return keys.map(async (key) => lookup((await rows).get(key)).catch(rethrow));
		},
		ledgerEntries: (range) => ledger(range).catch(rethrow),
		verifyWebhook: createWebhooks({ db, sdk, secrets }),
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

const byKey = (rows: readonly IntentRow[]) => new Map(rows.map((row) => [row.key, row]));

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
