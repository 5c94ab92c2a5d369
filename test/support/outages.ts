import { isOutage, isUnavailable } from "../../lib/resilience/outages.ts";
import { eventually } from "./eventually.ts";

/** Repeats a request until its outcome is final. @throws the error of the final outcome */
export async function repeatUntil<T>(
	isFinal: (outcome: PromiseSettledResult<T>) => boolean,
	request: () => PromiseLike<T>,
): Promise<T> {
	const outcome = await eventually(async () => {
		const [one] = await Promise.allSettled([request()]);
		if (isFinal(one)) return one;
		throw one.status === "rejected" ? one.reason : new Error(JSON.stringify(one.value));
	});
	if (outcome.status === "rejected") throw outcome.reason;
	return outcome.value;
}
const repeatOn = <T>(isRepeated: (error: unknown) => boolean, request: () => PromiseLike<T>) =>
	repeatUntil((one) => one.status === "fulfilled" || !isRepeated(one.reason), request);

/**
 * Repeats a request while a service is unavailable: on a busy machine, a cluster may miss a node's
 * heartbeat and reject requests until the next one, and a service may exceed its time limit.
 */
export const afterOutage = <T>(request: () => PromiseLike<T>): Promise<T> =>
	repeatOn(
		(error) => isUnavailable(error) || (error as { status?: unknown }).status === 503,
		request,
	);

/**
 * Repeats a call that finds no free connection to the database in time, which has no effect. On a
 * busy machine, a burst of calls may wait longer for the few connections of a test.
 */
export const repeatWithoutConnection = <T>(call: () => PromiseLike<T>): Promise<T> =>
	repeatOn(
		// A call that has timed out may still take effect.
		(error) => isOutage(error) && (error as { type?: unknown }).type !== "REQUEST_TIMEOUT",
		call,
	);
