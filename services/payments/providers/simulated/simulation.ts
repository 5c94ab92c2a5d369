import { type Database, type Statement, sql } from "../../../../lib/persistence/database.ts";
import type { Simulation } from "../provider.ts";
import { PENDING_REFUNDS } from "./cards.ts";

const IS_WAITING = `a.key = $1 and a.status in ('requires_action', 'processing')
	and not exists (select from ledger_charges c where c.key = a.key)`;

/** Statements by decision. Each returns the number of decided payments, refunds and disputes. */
const DECIDE: Readonly<Record<Simulation, Statement>> = {
	succeed: sql(
		"ledger_succeed",
		`with captured as (
			insert into ledger_charges (key, status, amount, currency)
			select key, 'captured', amount, currency from ledger_authorizations a
			where ${IS_WAITING} and a.capture on conflict (key) do nothing returning key),
		authorized as (
			update ledger_authorizations a set status = 'authorized'
			where ${IS_WAITING} and not a.capture returning key),
		paid as (
			update ledger_refunds set status = 'succeeded', paid_at = now()
			where charge_key = $1 and status = 'pending' returning key)
		select (select count(*) from captured) + (select count(*) from authorized)
			+ (select count(*) from paid) as decided`,
	),
	fail: sql(
		"ledger_fail",
		`with declined as (
			insert into ledger_charges (key, status, amount, currency, reason)
			select key, 'declined', 0, currency, 'authentication failed' from ledger_authorizations a
			where ${IS_WAITING} on conflict (key) do nothing returning key),
		failed as (
			update ledger_refunds r set status = 'failed', failed_at = now()
			from ledger_authorizations a
			where r.charge_key = $1 and r.status <> 'failed' and a.key = r.charge_key
				and a.token = '${PENDING_REFUNDS}'
			returning r.charge_key, r.amount),
		restored as (
			update ledger_charges c set refunded = c.refunded - f.amount
			from (select charge_key, sum(amount) as amount from failed group by charge_key) f
			where c.key = f.charge_key)
		select (select count(*) from declined) + (select count(*) from failed) as decided`,
	),
	dispute: sql(
		"ledger_dispute",
		`with disputed as (
			insert into ledger_disputes (charge_key, amount)
			select key, amount - refunded from ledger_charges
			where key = $1 and status = 'captured' and amount > refunded
			on conflict (charge_key) do nothing returning charge_key)
		select count(*) as decided from disputed`,
	),
	reverse_dispute: sql(
		"ledger_reverse_dispute",
		`with reversed as (
			update ledger_disputes set reversed_at = now()
			where charge_key = $1 and reversed_at is null returning charge_key)
		select count(*) as decided from reversed`,
	),
};

/** Creates the method `simulate` of the simulated provider. */
export const simulation = (db: Database) => async (key: string, decision: Simulation) => {
	const [row] = await db.query<{ decided: number }>(DECIDE[decision], [key]);
	return row!.decided > 0;
};
