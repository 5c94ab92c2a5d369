import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { Shop } from "./shop.ts";

/** Counts the statements of a service while `work` runs. */
export async function countStatements(
	{ broker }: Shop,
	service: string,
	work: () => Promise<unknown>,
): Promise<number> {
	const { db } = broker.getLocalService(service) as unknown as HasDatabase;
	const original = db.query;
	let count = 0;
	db.query = (...values) => {
		count++;
		return original.apply(db, values) as never;
	};
	try {
		await work();
	} finally {
		db.query = original;
	}
	return count;
}
