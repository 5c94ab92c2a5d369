import { settleWithin } from "../../lib/async/settle-within.ts";
import { runAfterCall } from "../../lib/context/call-context.ts";
import { runInTracesOf } from "../../lib/context/traceparent.ts";
import { distinctOrders, type Outcome, pending } from "../../lib/contracts/outcome.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { type Charge, type Response, recordCharges } from "./payments.recording.ts";
import type { ProviderRecord, ProviderResult } from "./providers/provider.ts";

/** A response that takes longer is considered lost; the next charge repeats the request. */
const RESPONSE_LOST_MS = 5000;
/** Maximum number of requests in flight per process; further orders are `pending`. */
const MAX_IN_FLIGHT = 5000;

/**
 * Charges orders. The provider authorizes and captures in one request, with the order ID as the
 * idempotency key of both, and one statement records the result. After a crash or a lost response,
 * repeating the charge is sufficient:
 * - Nothing is recorded: the provider returns the result of the key, or continues the request.
 * - An authorization is recorded: it is captured under the same key.
 *
 * A charge is repeated until it is done or refused, or reversed. While it is `waiting`, the buyer
 * or a bank decides; `payment.updated` reports the decision, and the repeated charge returns it.
 * Nothing else captures an authorization: its order may have been abandoned, and a void is better
 * than a refund.
 */
export function createCharges(dependencies: Dependencies) {
	const { logger, provider, limits } = dependencies;
	/** Requests without a response, by order ID. */
	const inFlight = new Map<string, Promise<ProviderResult>>();

	/**
	 * Charges orders and returns one outcome for each, `pending` if the provider did not respond in
	 * time.
	 */
	async function charge(orders: readonly Charge[]): Promise<Outcome[]> {
		const distinct = distinctOrders(orders);
		const repeated = distinct.filter(({ order_id }) => inFlight.has(order_id));
		const fresh = distinct
			.filter(({ order_id }) => !inFlight.has(order_id))
			.slice(0, Math.max(0, MAX_IN_FLIGHT - inFlight.size));
		const responses = await captureAuthorized(await requestResults(fresh, repeated));
		const outcomes = await recordCharges(dependencies, responses);
		return orders.map(({ order_id }) => outcomes.get(order_id) ?? pending);
	}

	/**
	 * Requests charges and returns the responses that arrive in time. The response of a repeated
	 * order in flight may be lost, so its result is looked up instead.
	 */
	async function requestResults(
		fresh: readonly Charge[],
		repeated: readonly Charge[],
	): Promise<Response[]> {
		const requests = requestCharges(fresh);
		const lookups = resultsOf(provider.lookup(repeated.map(({ order_id }) => order_id)));
		const results = await settleWithin([...requests, ...lookups], limits);
		return [...fresh, ...repeated].flatMap((order, i) => {
			const result = results[i];
			if (!result && requests[i]) recordLater(order, requests[i]);
			if (result?.status === "rejected") logFailure(order.order_id, result.reason);
			return result?.status === "fulfilled" && result.value
				? [{ order, result: result.value }]
				: [];
		});
	}

	function requestCharges(orders: readonly Charge[]): Promise<ProviderResult>[] {
		const requests = provider.authorize(
			orders.map(({ order_id, amount, currency, payment_token }) => ({
				key: order_id,
				amount,
				currency,
				token: payment_token,
				capture: true,
			})),
		);
		requests.forEach((request, i) => {
			const { order_id } = orders[i]!;
			inFlight.set(order_id, request);
			const remove = () => removeFromFlight(order_id, request);
			request.then(remove, remove);
		});
		return requests;
	}

	function removeFromFlight(order_id: string, request: Promise<ProviderResult>) {
		if (inFlight.get(order_id) === request) inFlight.delete(order_id);
	}

	/** Captures authorizations of interrupted requests; one without a response stays authorized. */
	async function captureAuthorized(responses: readonly Response[]): Promise<readonly Response[]> {
		const open = responses.filter(({ result }) => result.status === "authorized");
		if (open.length === 0) return responses;
		const captures = provider.capture(
			open.map(({ order: { order_id, amount } }) => ({
				key: order_id,
				authorization: order_id,
				amount,
			})),
		);
		const results = await settleWithin(captures, limits);
		const captured = new Map<Response, Response>();
		open.forEach((response, i) => {
			const { order } = response;
			const result = results[i];
			if (!result) recordLater(order, captures[i]!);
			if (result?.status === "rejected") logFailure(order.order_id, result.reason);
			if (result?.status === "fulfilled") captured.set(response, { order, result: result.value });
		});
		return responses.map((response) => captured.get(response) ?? response);
	}

	/** Records a late response in the trace of its order, without the time limit of the call. */
	function recordLater(order: Charge, request: Promise<ProviderResult>): void {
		runAfterCall(() => {
			setTimeout(() => removeFromFlight(order.order_id, request), RESPONSE_LOST_MS).unref();
			runInTracesOf([order], async () => {
				try {
					await recordCharges(dependencies, [{ order, result: await request }]);
				} catch (error) {
					logFailure(order.order_id, error);
				}
			});
		});
	}

	const logFailure = (order_id: string, error: unknown) =>
		logger.warn("Payment provider did not confirm a charge; will retry", { order_id, error });

	return { charge };
}

/** The current status in each record. */
const resultsOf = (records: readonly Promise<ProviderRecord | null>[]) =>
	records.map(async (record) => (await record)?.result ?? null);
