import { expect } from "@jest/globals";
import type { Database, Tx } from "../../lib/persistence/database.ts";
import { eventually } from "./eventually.ts";

/**
 * Calls a function while a transaction holds locks, and commits the transaction once the call waits
 * for one of them.
 * @param lock takes the locks
 * @param beforeCommit is called while the call waits
 * @returns the result of the call
 */
export async function callWhileLocked<T>(
	db: Database,
	lock: (tx: Tx) => Promise<unknown>,
	call: () => Promise<T>,
	beforeCommit: () => Promise<unknown> = async () => undefined,
): Promise<T> {
	let result: Promise<T> | undefined;
	await db.transaction(async (tx) => {
		await lock(tx);
		result = call();
		await eventually(async () => {
			const waiting = `select count(*)::int as n from pg_stat_activity
				where datname = current_database() and wait_event_type = 'Lock'`;
			expect(await db.query(waiting)).toEqual([{ n: 1 }]);
		});
		await beforeCommit();
	});
	return result!;
}
