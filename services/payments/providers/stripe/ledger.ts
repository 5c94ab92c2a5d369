import type { Logger } from "moleculer";
import type Stripe from "stripe";
import type { Database } from "../../../../lib/persistence/database.ts";
import type { LedgerEntry, LedgerRange } from "../provider.ts";
import { amountOf, chargeOf, hasFailed } from "./record.ts";
import { FIND_BY_INTENTS, type IntentRow, PAGE } from "./statements.ts";

/** Period in which the last page looks for payments without an order. */
const UNKNOWN_SECONDS = 30 * 86_400;
const MAX_UNKNOWN = 5000;
/** Difference between the creation of a row and of its intent, in most cases. */
const TOLERANCE_SECONDS = 60;
const PAGE_SIZE = 100;

interface LedgerOptions {
	readonly db: Database;
	readonly sdk: Stripe;
	readonly logger: Pick<Logger, "warn">;
	readonly listRefunds: (intentId: string) => Promise<readonly Stripe.Refund[]>;
}

/** Creates the function that reads pages of Stripe's ledger, for the audit. */
export function createLedger({ db, sdk, logger, listRefunds }: LedgerOptions) {
	const EXPANDED = ["data.latest_charge"];

	return async ({ after, upto, limit }: LedgerRange): Promise<LedgerEntry[]> => {
		const rows = await db.query<IntentRow>(PAGE, [after, upto, limit]);
		const intents = await intentsOf(rows);
		const known = rows.map((row) => entryOf(row.key, intents.get(row.intent_id ?? "")));
		const isLast = upto === null && rows.length < limit;
		return Promise.all([...known, ...(isLast ? await unknownEntries() : [])]);
	};

	/** The intents of rows, by ID. Keys are ordered by time, so one list contains most of them. */
	async function intentsOf(rows: readonly IntentRow[]) {
		const missing = new Set(rows.flatMap(({ intent_id }) => intent_id ?? []));
		const found = new Map<string, Stripe.PaymentIntent>();
		if (missing.size === 0) return found;
		const times = rows.map(({ created_at }) => Date.parse(created_at) / 1000);
		const created = {
			gte: Math.floor(Math.min(...times)) - TOLERANCE_SECONDS,
			lte: Math.ceil(Math.max(...times)) + TOLERANCE_SECONDS,
		};
		// Others may have created many intents in this period. Retrieving single ones is then faster.
		const listed = await sdk.paymentIntents
			.list({ created, limit: PAGE_SIZE, expand: EXPANDED })
			.autoPagingToArray({ limit: 2 * missing.size + PAGE_SIZE });
		for (const intent of listed) if (missing.delete(intent.id)) found.set(intent.id, intent);
		const retrieved = await Promise.all(
			[...missing].map((id) => sdk.paymentIntents.retrieve(id, { expand: ["latest_charge"] })),
		);
		for (const intent of retrieved) found.set(intent.id, intent);
		return found;
	}

	/** Payments that keep money and that no row contains, in order of their IDs. */
	async function unknownEntries(): Promise<Promise<LedgerEntry>[]> {
		const gte = Math.floor(Date.now() / 1000) - UNKNOWN_SECONDS;
		const listed = await sdk.paymentIntents
			.list({ created: { gte }, limit: PAGE_SIZE, expand: EXPANDED })
			.autoPagingToArray({ limit: MAX_UNKNOWN });
		if (listed.length === MAX_UNKNOWN)
			logger.warn("The audit checked only the newest payments at Stripe for missing orders", {
				checked: MAX_UNKNOWN,
			});
		const withMoney = listed.filter(
			({ amount_received, amount_capturable }) => amount_received + amount_capturable > 0,
		);
		const rows = await db.query<{ intent_id: string }>(FIND_BY_INTENTS, [
			withMoney.map(({ id }) => id),
		]);
		const known = new Set(rows.map(({ intent_id }) => intent_id));
		return withMoney
			.filter(({ id }) => !known.has(id))
			.sort((a, b) => (a.id < b.id ? -1 : 1))
			.map((intent) => entryOf(intent.id, intent));
	}

	async function entryOf(
		key: string,
		intent: Stripe.PaymentIntent | undefined,
	): Promise<LedgerEntry> {
		if (!intent) return { key, authorized: 0, charged: 0, refunded: 0 };
		const { id, currency, amount_capturable, amount_received } = intent;
		// The refunded amount of a charge also contains what a partial capture released.
		const isRefunded = amount_received > 0 && (chargeOf(intent)?.amount_refunded ?? 0) > 0;
		const refunds = isRefunded ? await listRefunds(id) : [];
		const refunded = refunds.reduce(
			(sum, refund) => (hasFailed(refund) ? sum : sum + refund.amount),
			0,
		);
		return {
			key,
			authorized: amountOf(amount_capturable, currency),
			charged: amountOf(amount_received, currency),
			refunded: amountOf(refunded, currency),
		};
	}
}
