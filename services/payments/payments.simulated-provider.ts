import { setTimeout as pause } from "node:timers/promises";
import { type Database, sql } from "../../lib/database.ts";
import type { Booking, ChargeAnswer, ChargeRequest, PaymentProvider, RefundRequest } from "./payments.provider.ts";

interface Entry {
	key: string;
	status: ChargeAnswer["status"];
	reason: string | null;
	/** Charged by this very request, not by an earlier one. */
	fresh: boolean;
}

const ENTRIES = `select key, case when cancelled is null then status else 'closed' end as status, reason, false as fresh from ledger_charges`;
const LOOKUP = sql("ledger_lookup", `${ENTRIES} where key = any($1::text[])`);
/** Writes the new ones of `$1`; answers with all entries under `$6`. */
const CHARGE = sql(
	"ledger_charge",
	`with made as (insert into ledger_charges (key, status, amount, currency, reason)
			select key, status, amount, currency, reason from unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::text[])
				as w (key, status, amount, currency, reason) order by key
			on conflict (key) do nothing returning key, status, reason)
	select key, status, reason, true as fresh from made union all ${ENTRIES} where key = any($6::text[])`,
);
const ATTEMPT = sql(
	"ledger_attempt",
	`insert into ledger_attempts as a (key, attempts) select key, 1 from unnest($1::text[]) as w (key) order by key
	on conflict (key) do update set attempts = a.attempts + 1 returning key, attempts`,
);
/** A refund that exceeds what is left breaks the check of `refunded`, and nothing is written. */
const REFUND = sql(
	"ledger_refund",
	`with made as (insert into ledger_refunds (key, charge_key, amount) values ($1, $2, $3)
			on conflict (key) do nothing returning charge_key, amount)
	update ledger_charges c set refunded = c.refunded + made.amount from made where c.key = made.charge_key`,
);
const CANCEL = sql(
	"ledger_cancel",
	`with closed as (insert into ledger_charges as c (key, status, amount, currency, cancelled)
			select key, 'closed', 0, '', 0 from unnest($1::text[]) as w (key) order by key
			on conflict (key) do update set cancelled = coalesce(c.cancelled, c.amount - c.refunded), refunded = c.amount
			returning key, cancelled),
		paid as (insert into ledger_refunds (key, charge_key, amount)
			select 'cancel ' || key, key, cancelled from closed where cancelled > 0 on conflict (key) do nothing)
	select key, cancelled as paid_back from closed`,
);
/** Collated bytewise, so that keys stand in the order of the ids that they are. Paid back is what the single refunds add up to. */
const BOOKS = sql(
	"ledger_books",
	`select key, amount as charged, (select coalesce(sum(r.amount), 0) from ledger_refunds r where r.charge_key = c.key) as refunded
	from ledger_charges c where key collate "C" > $1 and ($2::text is null or key collate "C" <= $2) order by key collate "C" limit $3`,
);

const SLOW = 3000;
const FAILURES = 2;
const works = new Set(["tok_ok", "tok_flaky", "tok_slow", "tok_timeout"]);

/** Why a card is declined; null for one that works, sooner or later. */
const declined = (token: string): string | null => {
	if (works.has(token)) return null;
	return token === "tok_declined" ? "card declined" : "unknown payment method";
};

/**
 * A payment provider for development and tests, with books of its own in the `ledger_` tables. The token names how the card behaves, as
 * the test cards of real providers do:
 * `tok_ok` works; `tok_declined` and every unknown token are declined; `tok_flaky` is unavailable twice, counted over restarts and nodes;
 * `tok_slow` takes 3 s; `tok_timeout` is charged, but the answer never comes. Who asks again gets the answer from the books.
 */
export function simulatedProvider(db: Database): PaymentProvider {
	/** The keys of those flaky cards that fail this time. */
	async function failing(requests: readonly ChargeRequest[]): Promise<Set<string>> {
		const flaky = requests.filter(({ token }) => token === "tok_flaky").map(({ key }) => key);
		if (flaky.length === 0) return new Set();
		const rows = await db.query<{ key: string; attempts: number }>(ATTEMPT, [[...new Set(flaky)]]);
		return new Set(rows.filter(({ attempts }) => attempts <= FAILURES).map(({ key }) => key));
	}

	/** Charges `requests` in one statement, and answers with the entries of all `keys`, theirs among them. */
	async function enter(requests: readonly ChargeRequest[], keys: readonly string[]): Promise<Map<string, Entry>> {
		const reasons = requests.map(({ token }) => declined(token));
		const rows = await db.query<Entry>(CHARGE, [
			requests.map(({ key }) => key),
			reasons.map((reason) => (reason ? "declined" : "captured")),
			requests.map(({ amount }, i) => (reasons[i] ? 0 : amount)),
			requests.map(({ currency }) => currency),
			reasons,
			keys,
		]);
		const entries = new Map(rows.map((entry) => [entry.key, entry]));
		// Written by somebody else while this statement ran, so it met them but did not see them.
		const unseen = requests.map(({ key }) => key).filter((key) => !entries.has(key));
		if (unseen.length > 0) for (const entry of await db.query<Entry>(LOOKUP, [unseen])) entries.set(entry.key, entry);
		return entries;
	}

	async function begin(requests: readonly ChargeRequest[]) {
		const failed = await failing(requests);
		const prompt = requests.filter(({ key, token }) => token !== "tok_slow" && !failed.has(key));
		return { failed, entries: await enter(prompt, [...new Set(requests.map(({ key }) => key))]) };
	}

	return {
		charge(requests) {
			if (requests.length === 0) return [];
			const begun = begin(requests);
			return requests.map(async (request) => {
				const { failed, entries } = await begun;
				if (failed.has(request.key)) throw new Error("The payment provider is unavailable");
				const entry = entries.get(request.key) ?? (await later(request));
				if (entry.fresh && request.token === "tok_timeout") return new Promise<never>(() => undefined);
				return answer(entry);
			});
			async function later(request: ChargeRequest): Promise<Entry> {
				// Unreferenced: the process may end meanwhile, as with a real provider.
				await pause(SLOW, undefined, { ref: false });
				return (await enter([request], [request.key])).get(request.key)!;
			}
		},
		refund(requests) {
			return requests.map(async ({ key, charge_key, amount }: RefundRequest) => {
				await db.query(REFUND, [key, charge_key, amount]);
			});
		},
		cancel(keys) {
			if (keys.length === 0) return [];
			const closed = db
				.query<{ key: string; paid_back: number }>(CANCEL, [[...new Set(keys)]])
				.then((rows) => new Map(rows.map(({ key, paid_back }) => [key, paid_back])));
			return keys.map(async (key) => (await closed).get(key)!);
		},
		books({ after, upto, limit }) {
			return db.query<Booking>(BOOKS, [after, upto, limit]);
		},
		lookup(keys) {
			if (keys.length === 0) return [];
			const found = db.query<Entry>(LOOKUP, [keys]).then((rows) => new Map(rows.map((entry) => [entry.key, entry])));
			return keys.map(async (key) => {
				const entry = (await found).get(key);
				return entry ? answer(entry) : null;
			});
		},
	};
}

const answer = ({ status, reason }: Entry): ChargeAnswer => (status === "declined" ? { status, reason: reason! } : { status });
