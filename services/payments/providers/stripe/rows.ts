import type { Database, Statement } from "../../../../lib/persistence/database.ts";
import type { AuthorizeRequest } from "../provider.ts";
import {
	BEGIN,
	CLAIM_CAPTURE,
	CLOSE,
	DECLINE,
	FIND,
	type IntentRow,
	STORE_INTENT,
} from "./statements.ts";

/** Reads and writes the rows of payments. */
export function createRows(db: Database) {
	const writeOne = async (statement: Statement, ...values: unknown[]): Promise<IntentRow> =>
		(await db.query<IntentRow>(statement, values))[0]!;
	const queryByKey = async (statement: Statement, values: readonly unknown[]) =>
		new Map((await db.query<IntentRow>(statement, values)).map((row) => [row.key, row]));

	return {
		/** Inserts missing payments. @returns the payments by key */
		begin(requests: readonly AuthorizeRequest[]): Promise<Map<string, IntentRow>> {
			const distinct = [...new Map(requests.map((request) => [request.key, request])).values()];
			return queryByKey(BEGIN, [
				distinct.map(({ key }) => key),
				distinct.map(({ amount }) => amount),
				distinct.map(({ currency }) => currency),
				distinct.map(({ token }) => token),
				distinct.map(({ key, capture }) => (capture ? key : null)),
			]);
		},
		/** Marks payments as voided. @returns the payments and tombstones by key */
		close: (keys: readonly string[]) => queryByKey(CLOSE, [[...new Set(keys)]]),
		findAll: (keys: readonly string[]) => queryByKey(FIND, [keys]),
		find: async (key: string): Promise<IntentRow | undefined> =>
			(await queryByKey(FIND, [[key]])).get(key),
		storeIntent: (key: string, intentId: string) => writeOne(STORE_INTENT, key, intentId),
		decline: (key: string, reason: string, code?: string) =>
			writeOne(DECLINE, key, reason, code ?? null),
		claimCapture: (key: string, captureKey: string) => writeOne(CLAIM_CAPTURE, key, captureKey),
	};
}
export type Rows = ReturnType<typeof createRows>;
