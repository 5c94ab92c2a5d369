import { setTimeout as after } from "node:timers/promises";
import type { OrderRecord, ShopState } from "./invariants.ts";
import type { Postgres } from "./postgres.ts";
import type { SeedHistory } from "./seed-history.ts";
import type { Stall } from "./stalls.ts";

/** Server under test. */
export interface Target {
	readonly name: string;
	readonly url: string;
	readonly history: SeedHistory;
	/** Root process of each process group, without Postgres. */
	readonly pids: Readonly<Record<string, number>>;
	/** Database names by Postgres server. */
	readonly databases: ReadonlyMap<Postgres, readonly string[]>;
	/** Access tokens of the buyers, valid for 15 minutes. */
	tokens(): Promise<readonly string[]>;
	/** Whether no order, event or message is in progress. */
	isSettled(): Promise<boolean>;
	/** Reads these orders from the database. */
	findOrders(ids: readonly string[]): Promise<OrderRecord[]>;
	/** Reads what has delayed requests so far; present if the processes record it. */
	readStalls?(): Promise<Stall[]>;
	/** Reads the state of all orders that are newer than the seed history. */
	readState(): Promise<ShopState>;
}

/** Time limit for the completion of all work in progress. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Waits until no work is in progress. Returns false after SETTLE_TIMEOUT_MS. */
export async function waitUntilSettled({ isSettled }: Target): Promise<boolean> {
	for (const deadline = Date.now() + SETTLE_TIMEOUT_MS; Date.now() < deadline; await after(50))
		if (await isSettled()) return true;
	return false;
}
