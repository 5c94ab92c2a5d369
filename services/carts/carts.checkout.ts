import { type Ctx, contractError, throwError } from "../../lib/contracts/contract.ts";
import { assertDecimals } from "../../lib/contracts/decimals.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	claimKey,
	errorResponse,
	findKey,
	type KeyedRequest,
	keyedRequest,
	replayResponse,
	type StoredResponse,
	storeOrReplay,
} from "../../lib/idempotency/idempotency.ts";
import { toMinorUnits } from "../../lib/money/currency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { isUnavailable } from "../../lib/resilience/outages.ts";
import { assertNoCardNumber } from "../../lib/security/card-number.ts";
import { createOrderToken } from "../../lib/security/order-token.ts";
import {
	accessibleCart,
	type Self as Changes,
	MAX_ATTEMPTS,
	variantRequiredError,
} from "./carts.changes.ts";
import { carts } from "./carts.contract.ts";
import { type Evaluation, problemsOf } from "./carts.evaluation.rules.ts";
import { assertIfMatch, type PlaceRequest, type StoredCart } from "./carts.rules.ts";
import type { Order, Settlement } from "./carts.settlement.ts";
import { openView, toPlaceRequest } from "./carts.view.rules.ts";

/** The service, as these functions use it. */
interface Self extends Changes {
	readonly db: Database;
	readonly settlement: Settlement;
	/** From which the tokens of guests' orders are derived. */
	readonly tokenSecret: string;
}
type CheckoutCtx = Ctx<Infer<typeof carts.actions.checkout.params>>;
type CheckoutResult = Order & { order_token?: string };
/** A checkout that has begun, on this node or another. */
interface Begun {
	readonly cart: Pick<StoredCart, "id" | "user_id">;
	readonly request: PlaceRequest;
}

/**
 * The action `carts.checkout`. A cart completes once: the statement that starts the checkout stores
 * the order's ID and its complete request, and every later attempt places the same order.
 * @throws the errors of the action's contract. An outage before the start has no effect; after it,
 *   the order may be placed, and repeating the checkout or another node completes it.
 */
export async function checkOut(self: Self, ctx: CheckoutCtx): Promise<CheckoutResult> {
	const { payment_method, payment_token } = ctx.params;
	assertNoCardNumber(payment_method ?? payment_token);

	// 1. Find the cart, and replay the response of an earlier request with the same key.
	for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		const cart = await accessibleCart(self, ctx.params.id, ctx);
		const keyed = keyedRequest(ctx, cart.id);
		const earlier = keyed && (await findKey(self.db, keyed));
		if (earlier) return replayCheckout(self, ctx, cart, keyed, earlier);

		// 2. Start the checkout, unless a concurrent request has started it.
		if (cart.status === "completing") {
			const { request } = cart;
			if (keyed) await claimKey(self.db, keyed, request!.order_id);
			return placeOrder(self, ctx, { cart, request: request! }, keyed);
		}
		const request = await prepare(self, ctx, cart).catch(async (error) => {
			if (await hasChanged(self, ctx, cart)) return undefined;
			throw error;
		});
		const isBegun = request && (await begin(self, cart, request, keyed));

		// 3. Place the order and complete the cart.
		if (isBegun) return placeOrder(self, ctx, { cart, request }, keyed);
	}
	throw commonError("SERVICE_UNAVAILABLE");
}

/**
 * Whether a cart that cannot be ordered has changed since it was read. A concurrent checkout of the
 * same cart may have used its coupon or its stock.
 */
async function hasChanged(self: Self, ctx: CheckoutCtx, cart: StoredCart): Promise<boolean> {
	const { version, status } = await accessibleCart(self, cart.id, ctx);
	return version !== cart.version || status !== cart.status;
}

/** The request of the order at current prices. @throws the reason why the cart cannot be ordered */
async function prepare(self: Self, ctx: CheckoutCtx, cart: StoredCart): Promise<PlaceRequest> {
	const { order_id, status, currency } = cart;
	const { expected_total, payment_method, payment_token } = ctx.params;
	if (status === "completed") throwError(carts, "CART_COMPLETED", { order_id });
	if (status !== "open") throwError(carts, "CART_NOT_OPEN", { status });
	assertIfMatch(cart, ctx.meta.if_match);
	if (cart.lines.length === 0) throwError(carts, "CART_EMPTY");
	if (currency !== null) assertDecimals("expected_total", expected_total, currency);
	const evaluation = await self.evaluator.evaluate(cart, false);
	await assertNoProblems(ctx, cart, evaluation);
	const { priced } = evaluation.result!;
	if (priced.total_amount > toMinorUnits(expected_total, priced.currency))
		throwError(carts, "PRICE_CHANGED", {
			cart: openView(cart, await self.evaluator.evaluate(cart)),
		});
	return toPlaceRequest(cart, evaluation, {
		order_id: newId(),
		payment_token: payment_method ?? payment_token,
	});
}

/**
 * The error of the first problem of a cart. Whether the stock suffices is decided by the order.
 * @throws it; SERVICE_UNAVAILABLE if the price is an estimate
 */
async function assertNoProblems(
	ctx: CheckoutCtx,
	cart: StoredCart,
	evaluation: Evaluation,
): Promise<void> {
	if (evaluation.estimated) throw commonError("SERVICE_UNAVAILABLE");
	const problem = problemsOf(cart, evaluation).find(({ code }) => code !== "OUT_OF_STOCK");
	if (!problem) return;
	const { code, product_id, coupon_code } = problem;
	switch (code) {
		case "PRODUCT_NOT_FOUND":
			return throwError(carts, code, { product_ids: [product_id] });
		case "CHOOSE_VARIANT":
			throw await variantRequiredError(ctx, product_id!);
		case "CURRENCY_CHANGED":
			return throwError(carts, "MIXED_CURRENCIES", { product_id });
		case "COUPON_UNKNOWN":
		case "COUPON_USED_UP":
			return throwError(carts, code, { coupon_code });
		case "OUT_OF_STOCK":
			return;
		default:
			return throwError(carts, code);
	}
}

/** Returns false if the cart or the key has been used in the meantime. */
function begin(
	{ db, store }: Self,
	cart: StoredCart,
	request: PlaceRequest,
	keyed: KeyedRequest | undefined,
): Promise<boolean> {
	if (!keyed) return store.begin(cart, request);
	return db
		.transaction(async (tx) => {
			if (await claimKey(tx, keyed, request.order_id)) return false;
			if (await store.beginIn(tx, cart, request)) return true;
			// The key must remain free: this request has not placed an order.
			throw new Conflict();
		})
		.catch((error) => {
			if (error instanceof Conflict) return false;
			throw error;
		});
}
class Conflict extends Error {}

/** Places the order of a checkout, or waits for it, and stores the response under the key. */
async function placeOrder(
	self: Self,
	ctx: CheckoutCtx,
	{ cart, request }: Begun,
	keyed: KeyedRequest | undefined,
): Promise<CheckoutResult> {
	const { db, settlement } = self;
	let order: Order;
	try {
		order = await settlement.place(ctx.call.bind(ctx), cart.id, request);
	} catch (error) {
		if (isUnavailable(error)) throw commonError("SERVICE_UNAVAILABLE");
		if (keyed && error instanceof Error) {
			const response = errorResponse(error);
			const other =
				response.status < 500 &&
				(await storeOrReplay<Order>(db, ctx.meta, { request: keyed, ...response }));
			if (other) return withToken(self, cart, other);
		}
		throw error;
	}
	// A pending order without a payment to confirm has no response to store yet.
	const isFinal = order.status !== "pending" || order.payment;
	const response = keyed && isFinal && { request: keyed, status: 201, body: order };
	const other = response && (await storeOrReplay<Order>(db, ctx.meta, response));
	return withToken(self, cart, other || order);
}

/** Adds the token of a guest's order, which is not stored. */
function withToken(
	{ tokenSecret }: Self,
	{ user_id }: Pick<StoredCart, "user_id">,
	order: Order,
): CheckoutResult {
	return user_id === null
		? { ...order, order_token: createOrderToken(tokenSecret, order.id) }
		: order;
}

/**
 * Repeats the response of the first request with the same key. If it was lost or is not known yet,
 * the order supplies it.
 * @throws ORDER_CANCELLED if the order was followed by another checkout
 */
async function replayCheckout(
	self: Self,
	ctx: CheckoutCtx,
	cart: StoredCart,
	keyed: KeyedRequest,
	earlier: StoredResponse,
): Promise<CheckoutResult> {
	if (earlier.status !== null)
		return withToken(self, cart, replayResponse<Order>(ctx.meta, earlier));
	const request = cart.request ?? (await self.store.findRequest(cart.id));
	if (request?.order_id !== earlier.subject)
		throw contractError(carts, "ORDER_CANCELLED", { order_id: earlier.subject });
	return placeOrder(self, ctx, { cart, request: request! }, keyed);
}
