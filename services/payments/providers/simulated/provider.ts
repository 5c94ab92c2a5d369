import { setTimeout as pause } from "node:timers/promises";
import type { Database, Statement } from "../../../../lib/persistence/database.ts";
import type {
	AuthorizeRequest,
	LedgerEntry,
	PaymentProvider,
	ProviderResult,
	RefundRequest,
} from "../provider.ts";
import {
	ATTEMPT,
	AUTHORIZE,
	BOOKS,
	CAPTURE,
	CHARGE,
	CHARGE_NEW,
	type Entry,
	FIND_REFUNDS,
	LOOKUP,
	REFUND,
	VOID,
} from "./ledger.ts";

const SLOW = 3000;
const FAILURES = 2;
const works = new Set(["tok_ok", "tok_flaky", "tok_slow", "tok_timeout"]);

/** Why a card is declined; null for one that works, sooner or later. */
const declined = (token: string): string | null => {
	if (works.has(token)) return null;
	return token === "tok_declined" ? "card declined" : "unknown payment method";
};
/** Whether an answer that never comes is that of the authorisation, so that the capture does not happen before somebody asks again. */
export const breaksOff = ({ key, token }: Pick<AuthorizeRequest, "key" | "token">): boolean =>
	token === "tok_timeout" && /[13579bdf]$/.test(key);
const stopsAtAuthorization = (request: AuthorizeRequest) =>
	!declined(request.token) && (!request.capture || breaksOff(request));
/** What becomes of an answer that gets lost on its way. */
const lost = () => new Promise<never>(() => undefined);

/**
 * A payment provider for development and tests, with books of its own in the `ledger_` tables. The token names how the card behaves, as
 * the test cards of real providers do:
 * `tok_ok` works; `tok_declined` and every unknown token are declined; `tok_flaky` is unavailable twice, counted over restarts and nodes;
 * `tok_slow` takes 3 s; `tok_timeout` is charged, but the answer never comes: of one half of the keys that of the capture, of those that end
 * in an odd digit already that of the authorisation, and then that of the capture as well. Who asks again gets the answer from the books.
 */
export function simulatedProvider(db: Database): PaymentProvider {
	/** The keys of those flaky cards that fail this time. */
	async function failing(requests: readonly AuthorizeRequest[]): Promise<Set<string>> {
		const flaky = requests.filter(({ token }) => token === "tok_flaky").map(({ key }) => key);
		if (flaky.length === 0) return new Set();
		const rows = await db.query<{ key: string; attempts: number }>(ATTEMPT, [[...new Set(flaky)]]);
		return new Set(rows.filter(({ attempts }) => attempts <= FAILURES).map(({ key }) => key));
	}

	/** Runs a statement that answers entries, and answers with those of all `keys`. */
	async function entries(
		keys: readonly string[],
		statement: Statement,
		values: readonly unknown[],
	): Promise<Map<string, Entry>> {
		const found = new Map(
			(await db.query<Entry>(statement, values)).map((entry) => [entry.key, entry]),
		);
		// Written by somebody else while this statement ran, so it met them but did not see them; or there is no more than an authorisation.
		const unseen = keys.filter((key) => !found.has(key));
		if (unseen.length > 0)
			for (const entry of await db.query<Entry>(LOOKUP, [unseen])) found.set(entry.key, entry);
		return found;
	}

	/** Charges `requests` in one statement, and answers with the entries of all `keys`, theirs among them. */
	async function enter(
		requests: readonly AuthorizeRequest[],
		keys: readonly string[],
	): Promise<Map<string, Entry>> {
		const fresh = requests.map(({ key, amount, token }): Entry => {
			const reason = declined(token);
			const booked = reason
				? ({ status: "declined", amount: 0 } as const)
				: ({ status: "captured", amount } as const);
			return { key, ...booked, reason, capture_key: null, fresh: true, token: null };
		});
		const values = [
			...(["key", "status", "amount"] as const).map((field) => fresh.map((entry) => entry[field])),
			requests.map(({ currency }) => currency),
			fresh.map(({ reason }) => reason),
		];
		const areNew = requests.length === keys.length && (await db.insertNew(CHARGE_NEW, values));
		return areNew
			? new Map(fresh.map((entry) => [entry.key, entry]))
			: entries(keys, CHARGE, [...values, keys]);
	}

	/** Writes down authorisations alone; answers the keys of the new ones. */
	async function setAside(requests: readonly AuthorizeRequest[]): Promise<Set<string>> {
		if (requests.length === 0) return new Set();
		const fields = (["key", "amount", "currency", "token"] as const).map((field) =>
			requests.map((request) => request[field]),
		);
		return new Set((await db.query<{ key: string }>(AUTHORIZE, fields)).map(({ key }) => key));
	}

	/** Authorises `requests`, and captures where that is wanted; answers with the entries of all `keys`, and which authorisations are new. */
	async function settle(requests: readonly AuthorizeRequest[], keys: readonly string[]) {
		const aside = await setAside(requests.filter(stopsAtAuthorization));
		const charging = requests.filter(
			(request) => !aside.has(request.key) && (request.capture || declined(request.token)),
		);
		return { aside, found: await enter(charging, keys) };
	}

	async function begin(requests: readonly AuthorizeRequest[]) {
		const failed = await failing(requests);
		const prompt = requests.filter(({ key, token }) => token !== "tok_slow" && !failed.has(key));
		const keys = new Set(requests.map(({ key }) => key).filter((key) => !failed.has(key)));
		return { failed, ...(await settle(prompt, [...keys])) };
	}

	async function payBack(requests: readonly RefundRequest[]): Promise<void> {
		const fields = (["key", "authorization", "amount"] as const).map((field) =>
			requests.map((request) => request[field]),
		);
		await db.query(REFUND, fields);
	}

	return {
		authorize(requests) {
			if (requests.length === 0) return [];
			const begun = begin(requests);
			return requests.map(async (request) => {
				const { failed, aside, found } = await begun;
				if (failed.has(request.key)) throw new Error("The payment provider is unavailable");
				const isNew = aside.has(request.key);
				const entry = found.get(request.key) ?? (await later(request));
				if (request.token === "tok_timeout" && (isNew || entry.fresh)) return lost();
				return answer(entry);
			});
			async function later(request: AuthorizeRequest): Promise<Entry> {
				// Unreferenced: the process may end meanwhile, as with a real provider.
				await pause(SLOW, undefined, { ref: false });
				return (await settle([request], [request.key])).found.get(request.key)!;
			}
		},
		capture(requests) {
			if (requests.length === 0) return [];
			const keys = requests.map(({ authorization }) => authorization);
			const found = entries(keys, CAPTURE, [
				keys,
				requests.map(({ key }) => key),
				requests.map(({ amount }) => amount),
			]);
			return requests.map(async ({ key, authorization }) => {
				const entry = (await found).get(authorization);
				if (!entry || entry.status === "authorized")
					throw new Error("There is no authorisation of that much");
				if (entry.status === "captured" && (entry.capture_key ?? entry.key) !== key)
					throw new Error("It is captured already");
				return entry.token === "tok_timeout" ? lost() : answer(entry);
			});
		},
		void(requests) {
			if (requests.length === 0) return [];
			const keys = [...new Set(requests.map(({ authorization }) => authorization))];
			const found = entries(keys, VOID, [keys]);
			return requests.map(async ({ authorization }) => answer((await found).get(authorization)!));
		},
		refund(requests) {
			if (requests.length === 0) return [];
			// One that is refused takes all others with it, so then each goes by itself.
			const together = payBack(requests);
			return requests.map((request) => together.catch(() => payBack([request])));
		},
		findRefunds(requests) {
			if (requests.length === 0) return [];
			const rows = db.query<{ key: string; amount: number }>(FIND_REFUNDS, [
				requests.map(({ key }) => key),
			]);
			return requests.map(async ({ key }) => {
				const found = (await rows).find((row) => row.key === key);
				return found ? { amount: found.amount } : null;
			});
		},
		ledgerEntries({ after, upto, limit }) {
			return db.query<LedgerEntry>(BOOKS, [after, upto, limit]);
		},
		lookup(keys) {
			if (keys.length === 0) return [];
			const found = entries([], LOOKUP, [keys]);
			return keys.map(async (key) => {
				const entry = (await found).get(key);
				return entry ? answer(entry) : null;
			});
		},
	};
}

function answer({ status, amount, reason }: Entry): ProviderResult {
	if (status === "captured") return { status, amount };
	return status === "declined" ? { status, reason: reason! } : { status };
}
