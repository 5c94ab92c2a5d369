import { microBatch, Rejection, reject } from "../../lib/async/micro-batch.ts";
import { withTimeout } from "../../lib/async/with-timeout.ts";
import { currentTraceparent, type Traced } from "../../lib/context/traceparent.ts";
import { type Ctx, contractError, isError, throwError } from "../../lib/contracts/contract.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	errorResponse,
	type KeyedRequest,
	keyedRequest,
} from "../../lib/idempotency/idempotency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type { SagaRunner } from "../../lib/saga/runner.ts";
import { orders } from "./orders.contract.ts";
import type { Lookup } from "./orders.lookup.ts";
import { findEarlierOrder, type ResponseStore, replayOrder, settle } from "./orders.responses.ts";
import * as rules from "./orders.rules.ts";
import type { OrderMetrics } from "./saga/metrics.ts";
import { newSaga, type OrderSaga } from "./saga/steps.ts";
import type { OrderDraft, OrderSagaOutcome, OrderStore, WrittenOrder } from "./saga/store.ts";

/** An order as the buyer requests it. */
export interface OrderRequest extends Traced {
	readonly user_id: string;
	/** One item per product. */
	readonly items: readonly rules.OrderItem[];
	readonly payment_token: string;
	readonly shipping_address?: string;
	/** Set if the request has an idempotency key. */
	readonly keyed: KeyedRequest | undefined;
}
/** An order that has been written, with its running saga. */
interface PlacedOrder {
	readonly saga: OrderSaga;
	readonly outcome: Promise<OrderSagaOutcome>;
}

/** Dependencies of {@link placeOrder}. */
interface Dependencies {
	readonly db: Database;
	readonly responses: ResponseStore;
	/** See {@link createOrderPlacement}. */
	readonly placeTogether: (request: OrderRequest) => Promise<PlacedOrder | undefined>;
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
	rules.assertNoCardNumber(params.payment_token);
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
		throw isError(error, "CHOOSE_VARIANT") ? await chooseVariant(ctx, error) : error;
	}
	// A concurrent request has used the key.
	if (!placed) return replayOrder(db, meta, await responses.find(keyed!));

	// 3. Respond.
	if (meta.respond_async) {
		meta.$statusCode = 202;
		return placed.saga.order;
	}
	const { order, outcome } = await settle(db, placed.saga, placed.outcome, waitMs);
	const error = outcome && "reason" in outcome ? rules.cancelledError(order, outcome) : undefined;
	if (keyed && outcome) {
		const response = error ? errorResponse(error) : { status: 201, body: order };
		await responses.save({ request: keyed, ...response });
	}
	if (error) throw error;
	return order;
}

/** Adds the variants of the product that cannot be ordered to an error. */
async function chooseVariant(ctx: Ctx, error: unknown): Promise<Error> {
	const { product_id } = (error as { data: { product_id: string } }).data;
	const variants = await ctx.call("products.variants", { id: product_id });
	return contractError(orders, "CHOOSE_VARIANT", {
		product_id,
		variants: variants.map(({ id, options }) => ({ id, options })),
	});
}

/** Dependencies of {@link createOrderPlacement}. */
interface PlacementDependencies {
	readonly lookup: {
		readonly users: Lookup<Buyer>;
		readonly products: Lookup<rules.Product>;
	};
	readonly store: Pick<OrderStore, "insert">;
	readonly sagas: Pick<SagaRunner<OrderSaga, WrittenOrder>, "run">;
	readonly metrics: Pick<OrderMetrics, "countPlaced">;
	/** Time limit for the forward direction of a saga, in milliseconds. */
	readonly deadlineMs: number;
}
type Buyer = { readonly is_active: boolean };

/** Maximum wait of a batch for the sagas of the previous one, in milliseconds. */
const MAX_SAGA_WAIT_MS = 50;
/** Wait for new requests after a batch: milliseconds per order of the batch, and the maximum. */
const ARRIVAL_WAIT_MS = 0.25;
const MAX_ARRIVAL_WAIT_MS = 10;

/**
 * Returns a function that places an order, or returns undefined if its idempotency key is already
 * in use. Requests that arrive while a batch is in progress form the next batch: one lookup of
 * buyers and products, one INSERT, and saga steps that the batch shares. An invalid request does
 * not affect the others.
 *
 * @throws USER_NOT_FOUND, PRODUCT_NOT_FOUND, MIXED_CURRENCIES, CHOOSE_VARIANT, ORDER_TOO_LARGE
 */
export function createOrderPlacement({
	lookup,
	store,
	sagas,
	metrics,
	deadlineMs,
}: PlacementDependencies) {
	return microBatch(placeBatch, { afterEach: waitForSagas });

	async function placeBatch(requests: OrderRequest[]): Promise<Placement[]> {
		// Validate and price, with the current rows of users and products.
		const [users, products] = await Promise.all([
			findAll(
				lookup.users,
				requests.map(({ user_id }) => user_id),
			),
			findAll(
				lookup.products,
				requests.flatMap(({ items }) => items.map(({ product_id }) => product_id)),
			),
		]);
		const drafts = requests.map((request) => {
			try {
				return draftOrder(request, users, products);
			} catch (error) {
				return reject(error);
			}
		});

		// Write the valid orders with their sagas, `order.created` events and idempotency keys.
		const valid = drafts.filter(isValid);
		const inserted = valid.length > 0 ? await store.insert(valid) : undefined;

		// Run the sagas of the inserted orders.
		return drafts.map((draft) => {
			if (draft instanceof Rejection) return draft;
			if (!inserted?.has(draft.saga.id)) return undefined;
			metrics.countPlaced(draft.saga);
			return { saga: draft.saga, outcome: sagas.run(draft.saga) };
		});
	}

	function draftOrder(
		request: OrderRequest,
		users: ReadonlyMap<string, Buyer | null>,
		products: ReadonlyMap<string, rules.Product | null>,
	): OrderDraft {
		if (!users.get(request.user_id)?.is_active) throwError(orders, "USER_NOT_FOUND");
		const catalogue = request.items.map(({ product_id }) => products.get(product_id) ?? null);
		const priced = rules.priceItems(request.items, catalogue);
		return { saga: newSaga(request, priced, deadlineMs), keyed: request.keyed };
	}
}
type Placement = PlacedOrder | Rejection | undefined;

const isValid = (draft: OrderDraft | Rejection): draft is OrderDraft =>
	!(draft instanceof Rejection);

/**
 * Keeps concurrent orders in one batch: if sagas started one by one, each of their steps would
 * process few orders, and a call with one order costs nearly as much as a call with a hundred.
 * After the sagas, buyers who have received a response may order again, so a batch of n > 1 also
 * waits for n new requests.
 */
async function waitForSagas(
	placements: readonly Placement[],
	arrivals: (count: number) => Promise<void>,
): Promise<void> {
	const outcomes = placements.map((placed) => placed && "outcome" in placed && placed.outcome);
	await withTimeout(Promise.all(outcomes), MAX_SAGA_WAIT_MS);
	const count = placements.length;
	if (count > 1)
		await withTimeout(arrivals(count), Math.min(count * ARRIVAL_WAIT_MS, MAX_ARRIVAL_WAIT_MS));
}

/** Looks up each ID once. */
async function findAll<Row>(
	lookup: Lookup<Row>,
	ids: readonly string[],
): Promise<Map<string, Row | null>> {
	const unique = [...new Set(ids)];
	const rows = await lookup(unique);
	return new Map(unique.map((id, i) => [id, rows[i] ?? null]));
}
