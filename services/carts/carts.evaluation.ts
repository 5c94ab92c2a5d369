import type { ServiceBroker } from "moleculer";
import { microBatch } from "../../lib/async/micro-batch.ts";
import { batchedLookup } from "../../lib/caching/batched-lookup.ts";
import { cachedLookup } from "../../lib/caching/cached-lookups.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { type CartToPrice, priceCarts } from "../../lib/pricing/price-carts.ts";
import type { Rounding } from "../../lib/pricing/pricing.ts";
import { isUnavailable } from "../../lib/resilience/outages.ts";
import type {} from "../inventory/inventory.contract.ts";
import type {} from "../products/products.contract.ts";
import {
	type CartToEvaluate,
	type Evaluation,
	examineLines,
	quoteOf,
	toPrice,
} from "./carts.evaluation.rules.ts";
import type { Quote } from "./carts.rules.ts";
import { createSources, lastKnownSources } from "./carts.sources.ts";

interface Options {
	readonly broker: ServiceBroker;
	readonly call: Call;
	readonly rounding: Rounding;
}
/** Concurrent batches, so that a slow service does not delay carts that do not need it. */
const CONCURRENCY = 4;

export type Evaluator = ReturnType<typeof createEvaluator>;

/**
 * Evaluates carts with the current data of other services. Concurrent calls share the requests to
 * other services.
 */
export function createEvaluator({ broker, call, rounding }: Options) {
	const sources = createSources(broker, call, rounding);
	const findProducts = cachedLookup(
		broker,
		"products",
		batchedLookup((ids) => call("products.resolve", { ids })),
	);
	const findStock = batchedLookup((product_ids) => call("inventory.resolve", { product_ids }));
	const priceTogether = microBatch((batch: CartToPrice[]) => priceCarts(sources, batch), {
		concurrency: CONCURRENCY,
	});

	/** The stock of products; undefined during an outage. */
	async function stockIfKnown(ids: string[]): Promise<Evaluation["available"]> {
		try {
			const found = await findStock(ids);
			return new Map(ids.map((id, i) => [id, found[i]?.available ?? 0]));
		} catch (error) {
			if (isUnavailable(error)) return undefined;
			throw error;
		}
	}

	async function price(
		cart: CartToEvaluate,
		toBePriced: CartToPrice,
	): Promise<Pick<Evaluation, "result" | "estimated">> {
		try {
			return { result: await priceTogether(toBePriced), estimated: false };
		} catch (error) {
			if (!isUnavailable(error)) throw error;
			const [result] = await priceCarts(lastKnownSources(sources, cart.quote), [toBePriced]);
			// Missing values, such as those of a new coupon, are no problem of the cart.
			return { result: { ...result!, problems: [] }, estimated: true };
		}
	}

	async function requiresAddress(): Promise<boolean> {
		const [tax, shipping] = await Promise.all([sources.taxStatus(), sources.shippingStatus()]);
		return tax.enabled || shipping.enabled;
	}

	return {
		sources,
		findProducts,

		/**
		 * Evaluates a cart.
		 * @param withStock false leaves the stock unknown
		 * @throws an outage of products. During other outages, the result is an estimate.
		 */
		async evaluate(cart: CartToEvaluate, withStock = true): Promise<Evaluation> {
			if (cart.lines.length === 0) return EMPTY;
			const ids = cart.lines.map(({ product_id }) => product_id);
			const stock = withStock ? stockIfKnown(ids) : Promise.resolve(undefined);
			// Awaited below; if products fail first, its failure is not unhandled.
			stock.catch(() => undefined);
			const lines = examineLines(cart, await findProducts(ids));
			const toBePriced = toPrice(cart, lines);
			const [{ result, estimated }, available, isRequired] = await Promise.all([
				toBePriced ? price(cart, toBePriced) : { result: null, estimated: false },
				stock,
				requiresAddress().catch((error) => {
					if (isUnavailable(error)) return false;
					throw error;
				}),
			]);
			return { lines, available, result, estimated, requiresAddress: isRequired };
		},

		/** The values of an evaluated cart to keep for an outage. */
		async quoteFor(
			{ coupon_codes, quote }: CartToEvaluate,
			{ result, estimated }: Evaluation,
		): Promise<Quote | null> {
			if (!result || estimated) return quote;
			const promotions = coupon_codes.length === 0 ? [] : await sources.resolve([...coupon_codes]);
			return quoteOf(
				result,
				promotions.flatMap((one) => one ?? []),
			);
		},
	};
}

const EMPTY: Evaluation = {
	lines: [],
	available: new Map(),
	result: null,
	estimated: false,
	requiresAddress: false,
};
