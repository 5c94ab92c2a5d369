import { isDeepStrictEqual } from "node:util";
import { assertAddress } from "../../lib/addresses/address.ts";
import type { keyedQueue } from "../../lib/async/keyed-queue.ts";
import { assertNotEmpty } from "../../lib/contracts/changes.ts";
import { type Ctx, contractError, throwError } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import { etagOf } from "../../lib/contracts/etag.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { fromMinorUnits, toMinorUnits } from "../../lib/money/currency.ts";
import { isActiveAt } from "../../lib/pricing/candidates.ts";
import { pricingPromotion } from "../../lib/pricing/major-units.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import { carts } from "./carts.contract.ts";
import { type Evaluation, seenLines } from "./carts.evaluation.rules.ts";
import type { Evaluator } from "./carts.evaluation.ts";
import * as rules from "./carts.rules.ts";
import type { Settlement } from "./carts.settlement.ts";
import type { CartStore } from "./carts.store.ts";
import { emptyView, openView, orderedView } from "./carts.view.rules.ts";

/** The service, as these functions use it. */
export interface Self {
	readonly store: CartStore;
	readonly evaluator: Evaluator;
	readonly settlement: Pick<Settlement, "settleRead">;
	/** Runs repeated changes of a cart one after the other. The first attempt has checked access. */
	readonly repeatInTurn: ReturnType<typeof keyedQueue>;
}
type Contents = rules.CartContents;
type Params<Action extends keyof typeof carts.actions> = Infer<
	(typeof carts.actions)[Action]["params"]
>;

/** Attempts of a change or checkout whose cart other requests change at the same time. */
export const MAX_ATTEMPTS = 30;

/** Finds a cart that the caller may access. @throws CART_NOT_FOUND */
export async function accessibleCart(
	{ store }: Self,
	id: string,
	{ meta }: Pick<Ctx, "meta">,
): Promise<rules.StoredCart> {
	const found = await store.find(id);
	rules.assertAccess(found, meta);
	return found;
}

/** The action `carts.get`. When its owner reads an open cart, its prices count as seen. */
export async function readCart(self: Self, ctx: Ctx, cart: rules.StoredCart): Promise<rules.Cart> {
	const { store, evaluator, settlement } = self;
	if (cart.status === "completing" && (await settlement.settleRead(ctx.call.bind(ctx), cart)))
		return readCart(self, ctx, await accessibleCart(self, cart.id, ctx));
	if (cart.status === "expired") return tagged(ctx, cart, emptyView(cart));
	if (cart.request) return tagged(ctx, cart, orderedView(cart, cart.request));
	const evaluation = await evaluator.evaluate(cart);
	if (rules.isOwner(cart, ctx.meta)) {
		const [lines, quote] = [
			seenLines(evaluation.lines),
			await evaluator.quoteFor(cart, evaluation),
		];
		const isSeen = lines.every((line, i) => line === cart.lines[i]);
		if (!isSeen || !isDeepStrictEqual(quote, cart.quote) || store.isAging(cart))
			await store.markSeen(cart, lines, quote);
	}
	return tagged(ctx, cart, openView(cart, evaluation));
}

/** Sets the entity tag of a response. */
function tagged(
	{ meta }: Pick<Ctx, "meta">,
	{ version }: Pick<rules.StoredCart, "version">,
	view: rules.Cart,
): rules.Cart {
	const ETag = rules.entityTag(version, etagOf(view));
	meta.$responseHeaders = { ...meta.$responseHeaders, ETag };
	return view;
}

/**
 * Changes the contents of an open cart and returns it at current prices. Starts again if another
 * request has changed the cart in the meantime, unless If-Match excludes that.
 * @param change returns the new contents, or throws
 * @param check throws if the evaluation does not allow the change
 * @throws CART_NOT_FOUND, CART_NOT_OPEN, PRECONDITION_FAILED
 */
async function changeCart(
	self: Self,
	ctx: Ctx<{ id: string }>,
	change: (cart: rules.StoredCart) => Contents | Promise<Contents>,
	check: (evaluation: Evaluation) => void = () => undefined,
): Promise<rules.Cart> {
	const { store, evaluator } = self;
	const { id } = ctx.params;
	return untilWritten(self, id, async () => {
		const cart = await accessibleCart(self, id, ctx);
		rules.assertOpen(cart);
		rules.assertIfMatch(cart, ctx.meta.if_match);
		const changed = { ...cart, ...(await change(cart)) };
		const evaluation = await evaluator.evaluate(changed);
		check(evaluation);
		const lines = seenLines(evaluation.lines);
		const quote = await evaluator.quoteFor(changed, evaluation);
		const written = await store.save(cart, { ...changed, lines, quote });
		if (!written) return undefined;
		const after = { ...changed, ...written };
		return tagged(ctx, after, openView(after, evaluation));
	});
}

/**
 * Attempts a change of a cart until no other request has changed the cart in the meantime. After
 * the first attempt, the changes of this node take turns, so that each of them takes effect.
 * @param attempt returns undefined if the cart has changed since it was read
 */
async function untilWritten<T>(
	{ repeatInTurn }: Self,
	id: string,
	attempt: () => Promise<T | undefined>,
): Promise<T> {
	const result = await attempt();
	if (result !== undefined) return result;
	return repeatInTurn(id, async () => {
		for (let n = 1; n < MAX_ATTEMPTS; n++) {
			const repeated = await attempt();
			if (repeated !== undefined) return repeated;
		}
		throw commonError("SERVICE_UNAVAILABLE");
	});
}

/** The action `carts.setLine`. @throws the errors of the action's contract */
export async function setLine(self: Self, ctx: Ctx<Params<"setLine">>): Promise<rules.Cart> {
	const { product_id, quantity } = ctx.params;
	return changeCart(
		self,
		ctx,
		async (cart) => {
			if (quantity === 0) {
				const lines = rules.withQuantity(cart.lines, product_id, 0, { seen: null });
				return { ...cart, lines, currency: rules.currencyWith(lines, cart) };
			}
			const [product] = await self.evaluator.findProducts([product_id]);
			if (!product) throwError(carts, "PRODUCT_NOT_FOUND", { product_ids: [product_id] });
			if (product.variant_count > 0) throw await variantRequiredError(ctx, product_id);
			const { currency, options } = product;
			const required = rules.currencyWith(cart.lines, cart) ?? currency;
			if (required !== currency) throwError(carts, "MIXED_CURRENCIES");
			const seen = fromMinorUnits(toMinorUnits(product.price, currency), currency);
			const line = { seen, ...(options ? { options } : {}) };
			const lines = rules.withQuantity(cart.lines, product_id, quantity, line);
			return { ...cart, currency, lines };
		},
		({ lines }) => {
			const line = lines.find((one) => one.line.product_id === product_id);
			if (line?.problem === "ORDER_TOO_LARGE") throwError(carts, "ORDER_TOO_LARGE");
		},
	);
}

/** Returns CHOOSE_VARIANT with the variants of the product. */
export async function variantRequiredError(
	ctx: Pick<Ctx, "call">,
	product_id: string,
): Promise<Error> {
	const variants = await ctx.call("products.variants", { id: product_id });
	return contractError(carts, "CHOOSE_VARIANT", {
		product_id,
		variants: variants.map(({ id, options }) => ({ id, options })),
	});
}

/** The action `carts.update`. @throws the errors of the action's contract */
export async function updateCart(self: Self, ctx: Ctx<Params<"update">>): Promise<rules.Cart> {
	const { id: _, coupon_codes, ...fields } = ctx.params;
	assertNotEmpty({ ...fields, ...(coupon_codes ? { coupon_codes } : {}) });
	const { shipping_address, billing_address, shipping_method } = fields;
	if (shipping_address) assertAddress("shipping_address", shipping_address);
	if (billing_address) assertAddress("billing_address", billing_address);
	const email = fields.email && acceptEmail(fields.email);
	const changes = { ...fields, ...(email === undefined ? {} : { email }) };
	return changeCart(
		self,
		ctx,
		async (cart) => {
			const coupons = coupon_codes && (await acceptCoupons(self, cart, coupon_codes));
			return { ...cart, ...changes, ...(coupons ? { coupon_codes: coupons } : {}) };
		},
		({ result }) => {
			const isRefused = result?.problems.some(
				({ code }) => code === "METHOD_UNAVAILABLE" || code === "UNDELIVERABLE",
			);
			if (shipping_method && isRefused) throwError(carts, "METHOD_UNAVAILABLE");
		},
	);
}

/** The canonical form of an address. @throws VALIDATION_ERROR */
export const acceptEmail = (text: string): string => {
	const canonical = canonicalEmail(text);
	if (!canonical) throw invalidField("email", "EMAIL", "Enter a plain e-mail address");
	return canonical;
};

/**
 * The given coupons as their promotions spell them, each once. Used up coupons are accepted, and
 * reported as a problem of the cart.
 * @throws COUPON_UNKNOWN for one that does not exist, has ended or has another currency
 */
async function acceptCoupons(
	{ evaluator: { sources } }: Self,
	{ currency }: Contents,
	codes: readonly string[],
): Promise<string[]> {
	if (codes.length === 0) return [];
	const promotions = await sources.resolve([...codes]);
	const accepted = codes.map((coupon_code, i) => {
		const promotion = promotions[i];
		const isKnown =
			promotion &&
			isActiveAt(promotion, Date.now()) &&
			pricingPromotion(promotion, currency ?? promotion.currency);
		if (!isKnown) throwError(carts, "COUPON_UNKNOWN", { coupon_code });
		return promotion.code ?? coupon_code;
	});
	return [...new Set(accepted)];
}

/** The action `carts.remove`. @throws the errors of the action's contract */
export async function removeCart(self: Self, ctx: Ctx<Params<"remove">>): Promise<void> {
	const { id } = ctx.params;
	await untilWritten(self, id, async () => {
		const cart = await accessibleCart(self, id, ctx);
		rules.assertOpen(cart);
		rules.assertIfMatch(cart, ctx.meta.if_match);
		return (await self.store.remove(cart)) || undefined;
	});
}
