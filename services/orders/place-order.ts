import { microBatch, type Rejection, reject } from "../../lib/async/micro-batch.ts";
import { withTimeout } from "../../lib/async/with-timeout.ts";
import type { Traced } from "../../lib/context/traceparent.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { KeyedRequest } from "../../lib/idempotency/idempotency.ts";
import type { SagaOutcome } from "../../lib/saga/saga.ts";
import { orders } from "./orders.contract.ts";
import { type OrderItem, type Product, priceItems } from "./orders.rules.ts";
import { newSaga, type OrderSaga } from "./saga/steps.ts";

/**
 * New orders go through their sagas in groups, one at a time: without that every step finds a few orders and costs each of them as much as it
 * would cost a hundred. The next group waits for the one before, this many milliseconds at most.
 */
const TOGETHER_MS = 50;
/**
 * Then it waits for those who have just got their answer and want more, until as many have come: so long for each of them, and no longer than the
 * most. Who was alone is not waited for.
 */
const RETURN_MS = 0.25;
const RETURN_MOST_MS = 10;

/** What somebody wants to order, and the request that it answers where that came with an idempotency key. */
export interface OrderRequest extends Traced {
	readonly user_id: string;
	/** Each product once. */
	readonly items: readonly OrderItem[];
	readonly payment_token: string;
	readonly shipping_address?: string;
	readonly request: KeyedRequest | undefined;
}
/** An order that is there, and its saga, which runs. */
export interface PlacedOrder {
	readonly saga: OrderSaga;
	readonly running: Promise<SagaOutcome>;
}

/** What others know under some ids, in their order; null where there is nothing. */
type LookUp<T> = (ids: string[]) => Promise<readonly (T | null)[]>;
interface Desk {
	readonly users: LookUp<{ readonly is_active: boolean }>;
	readonly products: LookUp<Product>;
	readonly deadlineMs: number;
	/** Writes new orders; false for those whose key was taken. */
	write(
		placing: readonly { saga: OrderSaga; request: KeyedRequest | undefined }[],
	): Promise<boolean[]>;
	/** Runs the saga of a new order. */
	run(saga: OrderSaga): Promise<SagaOutcome>;
}

/**
 * Places the orders that arrive together, at the catalogue's prices of this moment, and begins their sagas.
 * @returns per wish the order, or undefined where its idempotency key was taken
 */
export function createOrderPlacement({ users: buyers, products, deadlineMs, write, run }: Desk) {
	async function place(wishes: OrderRequest[]): Promise<(PlacedOrder | Rejection | undefined)[]> {
		const [users, catalogue] = await Promise.all([
			found(
				wishes.map(({ user_id }) => user_id),
				buyers,
			),
			found(
				wishes.flatMap(({ items }) => items.map(({ product_id }) => product_id)),
				products,
			),
		]);
		const sagas = wishes.map((wish) => {
			try {
				if (!users.get(wish.user_id)?.is_active) return throwError(orders, "USER_NOT_FOUND");
				const wanted = wish.items.map(({ product_id }) => catalogue.get(product_id) ?? null);
				return newSaga(wish, priceItems(wish.items, wanted), deadlineMs);
			} catch (error) {
				return reject(error);
			}
		});
		const good = sagas.flatMap((saga, i) =>
			"id" in saga ? [{ saga, request: wishes[i]!.request }] : [],
		);
		const written = good.length > 0 ? await write(good) : [];
		const placed = new Map(
			good.flatMap(({ saga }, i) => (written[i] ? [[saga, { saga, running: run(saga) }]] : [])),
		);
		return sagas.map((saga) => ("id" in saga ? placed.get(saga) : saga));
	}
	const running = (placed: PlacedOrder | Rejection | undefined) =>
		placed && "running" in placed && placed.running;
	async function afterEach(
		group: readonly (PlacedOrder | Rejection | undefined)[],
		arrivals: (count: number) => Promise<void>,
	): Promise<void> {
		await withTimeout(Promise.all(group.map(running)), TOGETHER_MS);
		if (group.length > 1)
			await withTimeout(arrivals(group.length), Math.min(group.length * RETURN_MS, RETURN_MOST_MS));
	}
	return microBatch(place, { afterEach });
}

/** What there is under some ids, each asked for once. */
async function found<T>(ids: readonly string[], lookUp: LookUp<T>): Promise<Map<string, T | null>> {
	const unique = [...new Set(ids)];
	const all = await lookUp(unique);
	return new Map(unique.map((id, i) => [id, all[i] ?? null]));
}
