import { isOutage } from "../../lib/resilience/outages.ts";
import { eventually } from "./eventually.ts";

/**
 * Repeats a call that finds no free connection to the database in time, which has no effect. On a
 * busy machine, a burst of calls may wait longer for the few connections of a test.
 */
export async function repeatWithoutConnection<T>(call: () => Promise<T>): Promise<T> {
	const settled = await eventually(async () => {
		const [outcome] = await Promise.allSettled([call()]);
		if (outcome.status === "rejected" && isDisconnected(outcome.reason)) throw outcome.reason;
		return outcome;
	});
	if (settled.status === "rejected") throw settled.reason;
	return settled.value;
}

/** A call that has timed out may still take effect. */
const isDisconnected = (error: unknown): boolean =>
	isOutage(error) && (error as { type?: unknown }).type !== "REQUEST_TIMEOUT";
