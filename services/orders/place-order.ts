import { assertAddress } from "../../lib/addresses/address.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { type Ctx, contractError, isError } from "../../lib/contracts/contract.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { errorResponse, keyedRequest } from "../../lib/idempotency/idempotency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { assertNoCardNumber } from "../../lib/security/card-number.ts";
import { orders } from "./orders.contract.ts";
import type { createOrderPlacement, PlacedOrder } from "./orders.placement.ts";
import { toOrder } from "./orders.prices.rules.ts";
import {
	findEarlierOrder,
	type ResponseStore,
	replayOrder,
	settle,
	settleElsewhere,
} from "./orders.responses.ts";
import * as rules from "./orders.rules.ts";

/** Dependencies of {@link placeOrder} and {@link placePricedOrder}. */
interface Dependencies {
	readonly db: Database;
	readonly responses: ResponseStore;
	/** See {@link createOrderPlacement}. */
	readonly placeTogether: ReturnType<typeof createOrderPlacement>;
	/** Maximum wait of a request for the saga of its order, in milliseconds. */
	readonly waitMs: number;
}

/**
 * The action `orders.create`. Returns the order in its status after the saga, or after `waitMs`.
 * @throws the errors of the action's contract
 */
export async function placeOrder(
	{ db, responses, placeTogether, waitMs }: Dependencies,
	ctx: Ctx<Infer<typeof orders.actions.create.params>>,
): Promise<rules.Order> {
	const { params, meta } = ctx;

	// 1. Validate the request. Replay the response of an earlier one with the same key.
	const user_id = rules.buyerOf(meta.user!, params.user_id);
	assertNoCardNumber(params.payment_token);
	if (typeof params.shipping_address === "object")
		assertAddress("shipping_address", params.shipping_address);
	const keyed = keyedRequest(ctx);
	const earlier = keyed && (await findEarlierOrder(responses, keyed, user_id));
	if (earlier) return replayOrder(db, meta, earlier);

	// 2. Price and write the order and start its saga, in a batch with concurrent requests.
	let placed: PlacedOrder | undefined;
	try {
		placed = await placeTogether({
			...params,
			user_id,
			items: rules.mergeItems(params.items),
			traceparent: currentTraceparent(),
			keyed,
		});
	} catch (error) {
		throw isError(error, "CHOOSE_VARIANT") ? await variantRequiredError(ctx, error) : error;
	}
	// A concurrent request has used the key.
	if (!placed) return replayOrder(db, meta, await responses.find(keyed!));

	// 3. Respond.
	if (meta.respond_async) {
		meta.$statusCode = 202;
		return toOrder(placed.saga.order, placed.saga);
	}
	const { order, outcome } = await settle(db, placed.saga, placed.outcome, waitMs);
	const error = outcome?.status === "closed" ? rules.cancelledError(order, outcome) : undefined;
	// A stuck order is pending until its compensation is retried, so its response can still change.
	if (keyed && outcome && outcome.status !== "stuck") {
		const response = error ? errorResponse(error) : { status: 201, body: order };
		await responses.save({ request: keyed, ...response });
	}
	if (error) throw error;
	return order;
}

/**
 * The action `orders.place`. The first call with an order ID places the order, any other waits for
 * it. Both return the order in its status after the saga, or after `waitMs`.
 * @throws the errors of the action's contract
 */
export async function placePricedOrder(
	{ db, placeTogether, waitMs }: Dependencies,
	{ order_id, user_id, payment_token, priced }: Infer<typeof orders.actions.place.params>,
): Promise<rules.Order> {
	// 1. Validate the request. Its prices are those that the buyer has accepted.
	assertNoCardNumber(payment_token);

	// 2. Write the order and start its saga, in a batch with concurrent requests.
	const traceparent = currentTraceparent();
	const placed = await placeTogether({ order_id, user_id, payment_token, priced, traceparent });

	// 3. Respond with the result of the saga, which an earlier call may have started on another node.
	const { order, outcome } = placed
		? await settle(db, placed.saga, placed.outcome, waitMs)
		: await settleElsewhere(db, order_id, Date.now() + waitMs);
	if (outcome?.status === "closed") throw rules.cancelledError(order, outcome);
	return order;
}

/** Returns CHOOSE_VARIANT with the variants of the product that `error` names. */
async function variantRequiredError(ctx: Ctx, error: unknown): Promise<Error> {
	const { product_id } = (error as { data: { product_id: string } }).data;
	const variants = await ctx.call("products.variants", { id: product_id });
	return contractError(orders, "CHOOSE_VARIANT", {
		product_id,
		variants: variants.map(({ id, options }) => ({ id, options })),
	});
}
