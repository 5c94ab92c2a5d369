import { type Address, formatAddress } from "../../lib/addresses/address.ts";
import { microBatch, Rejection, reject } from "../../lib/async/micro-batch.ts";
import { withTimeout } from "../../lib/async/with-timeout.ts";
import type { Lookup } from "../../lib/caching/cached-lookups.ts";
import { lookUpDistinct } from "../../lib/caching/distinct-lookup.ts";
import type { Traced } from "../../lib/context/traceparent.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { KeyedRequest } from "../../lib/idempotency/idempotency.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import type { SagaRunner } from "../../lib/saga/runner.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import { orders } from "./orders.contract.ts";

import { toStored } from "./orders.prices.rules.ts";
import type { OrderPricing, OrderToPrice } from "./orders.pricing.ts";
import * as rules from "./orders.rules.ts";
import type { OrderMetrics } from "./saga/metrics.ts";
import { type NewOrder, newSaga, type OrderSaga } from "./saga/steps.ts";
import type { OrderDraft, OrderSagaOutcome, OrderStore, WrittenOrder } from "./saga/store.ts";

/** An order as the buyer requests it, to be priced. */
export interface OrderRequest extends Traced {
	readonly user_id: string;
	/** One item per product. */
	readonly items: readonly rules.OrderItem[];
	readonly payment_token: string;
	readonly shipping_address?: string | Address;
	readonly shipping_method?: string;
	/** Set if the request has an idempotency key. */
	readonly keyed: KeyedRequest | undefined;
}
/** An order as a cart requests it, with its prices. */
export interface PricedRequest extends Traced {
	readonly order_id: string;
	/** Null for a guest. */
	readonly user_id: string | null;
	readonly payment_token: string;
	readonly priced: rules.PricedOrder;
	readonly keyed?: undefined;
}
/** An order that has been written, with its running saga. */
export interface PlacedOrder {
	readonly saga: OrderSaga;
	readonly outcome: Promise<OrderSagaOutcome>;
}

interface Draft extends OrderDraft {
	/** Whether the order may exist, because its caller has chosen the ID. */
	readonly mayExist: boolean;
}

/** Dependencies of {@link createOrderPlacement}. */
interface Dependencies {
	readonly lookup: {
		readonly users: Lookup<Buyer>;
		readonly products: Lookup<rules.Product>;
	};
	readonly pricing: OrderPricing;
	readonly store: Pick<OrderStore, "insert">;
	readonly sagas: Pick<
		SagaRunner<OrderSaga, WrittenOrder>,
		"run" | "startFirstStep" | "compensateFirstStep"
	>;
	readonly metrics: Pick<OrderMetrics, "countPlaced">;
	/** Time limit for the forward direction of a saga, in milliseconds. */
	readonly deadlineMs: number;
	/** Lifetime of a reservation, in milliseconds. */
	readonly reservationMs: number;
	/** Epoch milliseconds; `Date.now` by default. */
	now?(): number;
}
type Buyer = { readonly is_active: boolean };

/** Maximum wait of a batch for the sagas of the previous one, in milliseconds. */
const MAX_SAGA_WAIT_MS = 50;
/**
 * Wait for new requests after a batch: milliseconds per order of the batch, and the maximum. If the
 * sagas of the batch took longer than that, their duration is the maximum.
 */
const ARRIVAL_WAIT = { perOrder: 0.25, max: 10 };
/** Before the next order of a cart arrives, the cart is completed, and another one evaluated. */
const CHECKOUT_ARRIVAL_WAIT = { perOrder: 1.25, max: 20 };

/**
 * Returns a function that places an order, or returns undefined if its idempotency key or its ID is
 * already in use. Requests that arrive while a batch is in progress form the next batch: one lookup
 * of buyers and products, one INSERT, and saga steps that the batch shares. An invalid request does
 * not affect the others.
 *
 * @throws USER_NOT_FOUND, PRODUCT_NOT_FOUND, MIXED_CURRENCIES, CHOOSE_VARIANT, ORDER_TOO_LARGE,
 *   METHOD_UNAVAILABLE, UNDELIVERABLE
 */
export function createOrderPlacement({
	lookup,
	pricing,
	store,
	sagas,
	metrics,
	deadlineMs,
	reservationMs,
	now = Date.now,
}: Dependencies) {
	const writeAndReserve = createWriter({ store, sagas, reservationMs, now });
	return microBatch(placeBatch, { afterEach: waitForSagas });

	async function placeBatch(requests: (OrderRequest | PricedRequest)[]): Promise<Placement[]> {
		// Validate and price. The orders of carts are priced already.
		const prices = await priceRequests(requests.filter(isUnpriced));
		const drafts = requests.map((request): Draft | Rejection => {
			const order = isUnpriced(request) ? prices.get(request)! : cartOrder(request);
			if (order instanceof Rejection) return order;
			return {
				saga: newSaga(order, deadlineMs),
				keyed: request.keyed,
				mayExist: !isUnpriced(request),
			};
		});

		// Write the valid orders with their sagas, `order.created` events and idempotency keys.
		const valid = withDistinctIds(drafts.filter(isDraft));
		const written = valid.length > 0 ? await writeAndReserve(valid) : NONE;

		// Run the sagas of the written orders.
		return drafts.map((draft) => {
			if (draft instanceof Rejection) return draft;
			if (!written.has(draft)) return undefined;
			metrics.countPlaced(draft.saga);
			return { saga: draft.saga, outcome: sagas.run(draft.saga, written.get(draft)) };
		});
	}

	/** Prices requests with the current rows of users and products. */
	async function priceRequests(requests: readonly OrderRequest[]): Promise<Prices> {
		const prices: Prices = new Map();
		if (requests.length === 0) return prices;
		const [users, products, isConfigured] = await Promise.all([
			lookUpDistinct(
				requests.map(({ user_id }) => user_id),
				lookup.users,
			),
			lookUpDistinct(
				requests.flatMap(({ items }) => items.map(({ product_id }) => product_id)),
				lookup.products,
			),
			pricing.isConfigured(),
		]);
		const configured: (OrderToPrice & { request: OrderRequest; order: NewOrder })[] = [];
		for (const request of requests) {
			try {
				const order = plainOrder(request, users, products);
				prices.set(request, order);
				if (isConfigured || requiresPricing(request)) configured.push({ request, order, products });
			} catch (error) {
				prices.set(request, reject(error));
			}
		}
		if (configured.length === 0) return prices;
		// Orders with tax, shipping costs or promotions are priced together.
		const priced = await pricing.price(configured);
		for (const [i, { request, order }] of configured.entries()) {
			const result = priced[i]!;
			prices.set(request, result instanceof Rejection ? result : { ...order, ...toStored(result) });
		}
		return prices;
	}
}
type Placement = PlacedOrder | Rejection | undefined;
type Prices = Map<OrderRequest, NewOrder | Rejection>;

const isUnpriced = (request: OrderRequest | PricedRequest): request is OrderRequest =>
	!("priced" in request);
const isDraft = (draft: Draft | Rejection): draft is Draft => !(draft instanceof Rejection);
/** A structured address and a shipping method are kept with the prices. */
const requiresPricing = ({ shipping_address, shipping_method }: OrderRequest): boolean =>
	typeof shipping_address === "object" || shipping_method !== undefined;

/** The first draft of each ID: an order of a cart may be requested twice at the same time. */
function withDistinctIds(drafts: readonly Draft[]): Draft[] {
	const ids = new Set<string>();
	return drafts.filter(({ saga: { id } }) => ids.size < ids.add(id).size);
}

/**
 * Returns a function that writes orders, and reserves their stock at the same time. It returns the
 * written drafts with the results of their reservations.
 *
 * The reservation of an order that is not written is released. If the outcome of the write is
 * unknown, the reservation expires: inventory releases the stock of orders that do not exist. After
 * a failed write, the next orders are written first, so that an outage of the database reserves the
 * stock of one batch only.
 *
 * The result of a reservation that may have expired before its order was visible is left out: it
 * may have been released as that of an unknown order. The saga then repeats the step, which renews
 * the reservation or finds the tombstone.
 */
function createWriter({
	store,
	sagas,
	reservationMs,
	now,
}: Pick<Dependencies, "store" | "sagas" | "reservationMs"> & { now(): number }) {
	let isAvailable = true;
	/** False also after the clock was set back. */
	const isValid = (ageMs: number) => ageMs >= 0 && ageMs < reservationMs / 2;
	return async function write(drafts: readonly Draft[]): Promise<Written> {
		const begun = now();
		const reservations = isAvailable ? drafts.map(({ saga }) => sagas.startFirstStep(saga)) : [];
		const release = (unwritten: readonly Draft[]) => {
			if (reservations.length === 0) return;
			for (const { saga, mayExist } of unwritten) if (!mayExist) sagas.compensateFirstStep(saga);
		};
		let ids: ReadonlySet<string>;
		try {
			ids = await store.insert(drafts);
			isAvailable = true;
		} catch (error) {
			isAvailable = false;
			if (!isOutage(error)) release(drafts);
			throw error;
		}
		const isWritten = ({ saga }: Draft) => ids.has(saga.id);
		release(drafts.filter((draft) => !isWritten(draft)));
		const results = isValid(now() - begun) ? reservations : [];
		return new Map(drafts.flatMap((draft, i) => (isWritten(draft) ? [[draft, results[i]]] : [])));
	};
}
type Written = ReadonlyMap<Draft, Promise<Outcome> | undefined>;
const NONE: Written = new Map();

/** An order whose total is the sum of its lines at catalogue prices. */
function plainOrder(
	{ user_id, items, payment_token, shipping_address, traceparent }: OrderRequest,
	users: ReadonlyMap<string, Buyer | null>,
	products: ReadonlyMap<string, rules.Product | null>,
): NewOrder {
	if (!users.get(user_id)?.is_active) throwError(orders, "USER_NOT_FOUND");
	const catalogue = items.map(({ product_id }) => products.get(product_id) ?? null);
	return {
		...rules.priceItems(items, catalogue),
		user_id,
		priced: null,
		payment_token,
		shipping_address: shipping_address === undefined ? null : addressText(shipping_address),
		traceparent,
	};
}

/** An address with one part per line, for the carrier. */
const addressText = (address: Address | string): string =>
	typeof address === "string" ? address : formatAddress(address).join("\n");

/** The order of a cart, at the prices of the cart. */
function cartOrder({ order_id, priced, ...request }: PricedRequest): NewOrder {
	const { shipping_address: address, email } = priced;
	const canonical = email && (canonicalEmail(email) ?? email);
	return {
		...request,
		...toStored({ ...priced, email: canonical }),
		id: order_id,
		shipping_address: address && addressText(address),
	};
}

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
	const begun = performance.now();
	await withTimeout(Promise.all(outcomes), MAX_SAGA_WAIT_MS);
	const sagaMs = performance.now() - begun;
	const count = placements.length;
	const ofCarts = placements.some((placed) => placed && "saga" in placed && placed.saga.priced);
	const { perOrder, max } = ofCarts ? CHECKOUT_ARRIVAL_WAIT : ARRIVAL_WAIT;
	if (count > 1)
		await withTimeout(arrivals(count), Math.min(count * perOrder, Math.max(max, sagaMs)));
}
