import { isOutage } from "../../lib/resilience/outages.ts";
import { eventually } from "./eventually.ts";

/** Repeats a call while it fails with the given errors. @throws other errors at once */
export async function repeatOn<T>(
	isRepeated: (error: unknown) => boolean,
	call: () => Promise<T>,
): Promise<T> {
	const settled = await eventually(async () => {
		const [outcome] = await Promise.allSettled([call()]);
		if (outcome.status === "rejected" && isRepeated(outcome.reason)) throw outcome.reason;
		return outcome;
	});
	if (settled.status === "rejected") throw settled.reason;
	return settled.value;
}

/**
 * Repeats a call that finds no free connection to the database in time, which has no effect. On a
 * busy machine, a burst of calls may wait longer for the few connections of a test.
 */
export const repeatWithoutConnection = <T>(call: () => Promise<T>): Promise<T> =>
	repeatOn(isDisconnected, call);

/** A call that has timed out may still take effect. */
const isDisconnected = (error: unknown): boolean =>
	isOutage(error) && (error as { type?: unknown }).type !== "REQUEST_TIMEOUT";
