import { setTimeout as after } from "node:timers/promises";
import type { OrderRecord, ShopState } from "./books.ts";
import type { SeedHistory } from "./past.ts";
import type { Postgres } from "./postgres.ts";

/** A server under test. */
export interface Target {
	readonly name: string;
	readonly url: string;
	readonly history: SeedHistory;
	/** Its processes in groups, each by the process that the others of the group come from. Postgres is not among them. */
	readonly pids: Readonly<Record<string, number>>;
	/** Its databases, by the server that they are on. */
	readonly databases: ReadonlyMap<Postgres, readonly string[]>;
	/** Access tokens of all who buy, good for another quarter of an hour. */
	tokens(): Promise<readonly string[]>;
	/** Whether nothing is under way any more: no order, no event, no message. */
	isSettled(): Promise<boolean>;
	/** What became of these orders, as the database has it. */
	findOrders(ids: readonly string[]): Promise<OrderRecord[]>;
	/** What is in the books of all orders since the past. */
	readState(): Promise<ShopState>;
}

/** How long what is under way may take until it is done. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Waits until nothing is under way; false if that takes too long. */
export async function waitUntilSettled({ isSettled }: Target): Promise<boolean> {
	for (const late = Date.now() + SETTLE_TIMEOUT_MS; Date.now() < late; await after(50)) if (await isSettled()) return true;
	return false;
}

/** Tries until `check` fulfils. */
export async function eventually<T>(check: () => Promise<T>, ms = 60_000): Promise<T> {
	for (const late = Date.now() + ms; ; await after(50)) {
		try {
			return await check();
		} catch (error) {
			if (Date.now() > late) throw error;
		}
	}
}
