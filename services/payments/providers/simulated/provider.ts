import { setTimeout as delay } from "node:timers/promises";
import type { Database, Statement } from "../../../../lib/persistence/database.ts";
import type {
	AuthorizeRequest,
	FoundRefund,
	LedgerEntry,
	PaymentProvider,
	ProviderRecord,
	ProviderResult,
	ProviderTransaction,
	RefundRequest,
	RefundResult,
} from "../provider.ts";
import {
	declineReason,
	FLAKY_FAILURES,
	hasSpecialRefunds,
	SLOW_RESPONSE_MS,
	stopsBeforeCapture,
	waitingStatus,
} from "./cards.ts";
import { simulation } from "./simulation.ts";
import {
	AUTHORIZE,
	CAPTURE,
	CHARGE,
	CHARGE_NEW,
	COUNT_ATTEMPTS,
	type Entry,
	FIND_REFUNDS,
	LEDGER_PAGE,
	LOOKUP,
	REFUND,
	REFUND_FAILURE,
	TRANSACTIONS,
	VOID,
} from "./statements.ts";

/** Keeps slow payments from delaying the others. */
const LIMITS = { totalMs: 250, idleMs: 50 };

/**
 * A payment provider for development and tests, with its own ledger in the `ledger_` tables. Like
 * the test cards of real providers, the token determines the behavior:
 * - `tok_ok` is charged.
 * - `tok_declined` and unknown tokens are declined.
 * - `tok_flaky` fails twice with an inconclusive error, counted across nodes and restarts.
 * - `tok_slow` responds after 3 s.
 * - `tok_timeout` is charged, but the response is lost. For keys with an odd last digit the request
 *   stops after the authorization, and the response to the capture is lost as well. A repeated
 *   request returns the result from the ledger.
 * - `tok_3ds` requires an action of the buyer, and `tok_debit` is processed by a bank, until
 *   {@link PaymentProvider.simulate} decides.
 * - `tok_refund_pending` is charged. Its refunds are pending until `simulate` decides; they may
 *   also fail after that.
 * - `tok_refund_fails` is charged. Its refunds fail.
 */
export function createSimulated({ db }: { readonly db: Database }): PaymentProvider {
	/** Keys of the flaky cards that fail at this attempt. */
	async function failingKeys(requests: readonly AuthorizeRequest[]): Promise<Set<string>> {
		const flaky = requests.filter(({ token }) => token === "tok_flaky").map(({ key }) => key);
		if (flaky.length === 0) return new Set();
		const rows = await db.query<{ key: string; attempts: number }>(COUNT_ATTEMPTS, [
			[...new Set(flaky)],
		]);
		return new Set(rows.filter(({ attempts }) => attempts <= FLAKY_FAILURES).map(({ key }) => key));
	}

	/** Runs a statement that returns entries, and returns the entries of all keys. */
	async function queryEntries(
		keys: readonly string[],
		statement: Statement,
		values: readonly unknown[],
	): Promise<Map<string, Entry>> {
		const entries = byKey(await db.query<Entry>(statement, values));
		// Missing are open authorizations, and rows that a concurrent transaction inserted: they
		// conflict with this statement, but its snapshot does not contain them.
		const missing = keys.filter((key) => !entries.has(key));
		if (missing.length > 0)
			for (const entry of await db.query<Entry>(LOOKUP, [missing])) entries.set(entry.key, entry);
		return entries;
	}

	/** Inserts charges in one statement and returns the entries of `keys`, which include them. */
	async function insertCharges(
		requests: readonly AuthorizeRequest[],
		keys: readonly string[],
	): Promise<Map<string, Entry>> {
		const charges = requests.map(({ key, amount, token }): Entry => {
			const reason = declineReason(token);
			const result = reason
				? ({ status: "declined", amount: 0 } as const)
				: ({ status: "captured", amount } as const);
			return { key, ...result, reason, capture_key: null, fresh: true, token: null };
		});
		const values = [
			...(["key", "status", "amount"] as const).map((field) => charges.map((row) => row[field])),
			requests.map(({ currency }) => currency),
			charges.map(({ reason }) => reason),
		];
		const allNew = requests.length === keys.length && (await db.insertNew(CHARGE_NEW, values));
		return allNew ? byKey(charges) : queryEntries(keys, CHARGE, [...values, keys]);
	}

	/** Inserts authorizations and returns the new keys. */
	async function insertAuthorizations(requests: readonly AuthorizeRequest[]): Promise<Set<string>> {
		if (requests.length === 0) return new Set();
		const fields = ["key", "amount", "currency", "token"] as const;
		const rows = await db.query<{ key: string }>(AUTHORIZE, [
			...columns(requests, fields),
			requests.map(({ token }) => waitingStatus(token) ?? "authorized"),
			requests.map(({ capture }) => capture),
		]);
		return new Set(rows.map(({ key }) => key));
	}

	/**
	 * Authorizes requests, and captures those that request it.
	 * @returns the keys of new authorizations without a capture, and the entries of `keys`
	 */
	async function processRequests(requests: readonly AuthorizeRequest[], keys: readonly string[]) {
		const inserted = await insertAuthorizations(requests.filter(isAuthorizedFirst));
		const charges = requests.filter(
			(request) =>
				!(inserted.has(request.key) && isAuthorizedOnly(request)) &&
				!waitingStatus(request.token) &&
				(request.capture || declineReason(request.token)),
		);
		return { authorized: inserted, entries: await insertCharges(charges, keys) };
	}

	async function processBatch(requests: readonly AuthorizeRequest[]) {
		const failing = await failingKeys(requests);
		const immediate = requests.filter(
			({ key, token }) => token !== "tok_slow" && !failing.has(key),
		);
		const keys = new Set(requests.map(({ key }) => key).filter((key) => !failing.has(key)));
		return { failing, ...(await processRequests(immediate, [...keys])) };
	}

	async function processSlow(request: AuthorizeRequest): Promise<Entry> {
		// Unreferenced, so the process can exit meanwhile, as with a real provider.
		await delay(SLOW_RESPONSE_MS, undefined, { ref: false });
		return (await processRequests([request], [request.key])).entries.get(request.key)!;
	}

	async function refund(requests: readonly RefundRequest[]): Promise<Map<string, FoundRefund>> {
		await db.query(REFUND, columns(requests, ["key", "authorization", "amount"]));
		return findRefunds(requests.map(({ key }) => key));
	}

	async function findRefunds(keys: readonly string[]): Promise<Map<string, FoundRefund>> {
		const rows = await db.query<{ key: string } & Pick<FoundRefund, "amount" | "status">>(
			FIND_REFUNDS,
			[keys],
		);
		return new Map(
			rows.map(({ key, amount, status }) => {
				const reason = status === "failed" ? { reason: REFUND_FAILURE } : {};
				return [key, { status, amount, reference: key, ...reason }];
			}),
		);
	}

	async function recordsOf(keys: readonly string[]): Promise<Map<string, ProviderRecord>> {
		const entries = await queryEntries([], LOOKUP, [keys]);
		const rows = await db.query<ProviderTransaction & { key: string }>(TRANSACTIONS, [keys]);
		const transactions = Map.groupBy(rows, ({ key }) => key);
		return new Map(
			[...entries.values()].map((entry) => [
				entry.key,
				{
					result: toResult(entry),
					transactions: (transactions.get(entry.key) ?? []).map(({ key: _, reason, ...row }) => ({
						...row,
						...(reason ? { reason } : {}),
					})),
				},
			]),
		);
	}

	return {
		name: "simulated",
		limits: LIMITS,
		authorize(requests) {
			if (requests.length === 0) return [];
			const batch = processBatch(requests);
			return requests.map(async (request) => {
				const { failing, authorized, entries } = await batch;
				if (failing.has(request.key)) throw new Error("The payment provider is unavailable");
				const isNew = authorized.has(request.key);
				const entry = entries.get(request.key) ?? (await processSlow(request));
				if (request.token === "tok_timeout" && (isNew || entry.fresh)) return lostResponse();
				return toResult(entry);
			});
		},
		capture(requests) {
			if (requests.length === 0) return [];
			const keys = requests.map(({ authorization }) => authorization);
			const entries = queryEntries(keys, CAPTURE, [
				keys,
				requests.map(({ key }) => key),
				requests.map(({ amount }) => amount),
			]);
			return requests.map(async ({ key, authorization }) => {
				const entry = (await entries).get(authorization);
				if (!entry || entry.status === "authorized")
					throw new Error("The authorization does not exist or is smaller than the amount");
				if (entry.status === "captured" && (entry.capture_key ?? entry.key) !== key)
					throw new Error("The authorization is already captured");
				return entry.token === "tok_timeout" ? lostResponse() : toResult(entry);
			});
		},
		void(requests) {
			if (requests.length === 0) return [];
			const keys = [...new Set(requests.map(({ authorization }) => authorization))];
			const entries = queryEntries(keys, VOID, [keys]);
			return requests.map(async ({ authorization }) =>
				toResult((await entries).get(authorization)!),
			);
		},
		refund(requests) {
			if (requests.length === 0) return [];
			// A rejected refund fails the whole statement, so each one is then tried separately.
			const batch = refund(requests);
			return requests.map(async (request): Promise<RefundResult> => {
				const { key } = request;
				const found = await batch.catch(() => refund([request]));
				// A refund of zero has no entry.
				return found.get(key) ?? { status: "succeeded", reference: key };
			});
		},
		findRefunds(requests) {
			if (requests.length === 0) return [];
			const found = findRefunds(requests.map(({ key }) => key));
			return requests.map(async ({ key }) => (await found).get(key) ?? null);
		},
		lookup(keys) {
			if (keys.length === 0) return [];
			const records = recordsOf(keys);
			return keys.map(async (key) => (await records).get(key) ?? null);
		},
		ledgerEntries({ after, upto, limit }) {
			return db.query<LedgerEntry>(LEDGER_PAGE, [after, upto, limit]);
		},
		simulate: simulation(db),
	};
}

const isAuthorizedOnly = (request: AuthorizeRequest) =>
	!declineReason(request.token) && (!request.capture || stopsBeforeCapture(request));

/** The ledger stores the token of these requests, because later ones depend on it. */
const isAuthorizedFirst = (request: AuthorizeRequest) =>
	isAuthorizedOnly(request) || hasSpecialRefunds(request.token) || waitingStatus(request.token);

/** The response never arrives. */
const lostResponse = () => new Promise<never>(() => undefined);

const byKey = (entries: readonly Entry[]) => new Map(entries.map((entry) => [entry.key, entry]));

/** Rows as parallel arrays, one for each field. */
const columns = <Field extends string>(
	rows: readonly Record<Field, unknown>[],
	fields: readonly Field[],
) => fields.map((field) => rows.map((row) => row[field]));

function toResult({ key, status, amount, reason }: Entry): ProviderResult {
	if (status === "captured") return { status, amount };
	if (status === "requires_action") return { status, client_secret: clientSecretOf(key) };
	return status === "declined" ? { status, reason: reason! } : { status };
}

const clientSecretOf = (key: string) => `simulated_${key}`;
