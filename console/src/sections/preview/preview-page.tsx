import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { reads, shop } from "../../api.ts";
import { Form, SelectField, TextField } from "../../components/form.tsx";
import { Page, Panel } from "../../components/page.tsx";
import { ProductName, ProductSearch } from "../../components/product-search.tsx";
import { Failure, Loading } from "../../components/states.tsx";
import { useData } from "../../data.ts";
import { atInputs, textOf } from "../../form-values.ts";
import { navigate, query } from "../../router.ts";
import { PreviewResult } from "./preview-result.tsx";
import { type Cart, inputOf, type Preview, readPreview } from "./preview-values.ts";

type Lines = Readonly<Record<string, number>>;
const MAX_LINES = 100;
const MAX_QUANTITY = 1000;

/**
 * Calculates the prices of a cart that is not stored. The query selects its start: `cart`, the ID
 * of an existing cart; `product` and `coupon`.
 */
export function PreviewPage() {
	const id = query.value.get("cart") ?? "";
	return (
		<Page title="Price preview">
			<CartForm key={`cart ${id}`} id={id} />
			{id === "" ? <PreviewForm /> : <CartPreview key={id} id={id} />}
		</Page>
	);
}

/** Selects an existing cart. */
function CartForm({ id }: { id: string }) {
	const submit = async (values: FormData) => {
		const cart = textOf(values, "cart");
		navigate(cart ? `/preview?cart=${encodeURIComponent(cart)}` : "/preview");
	};
	return (
		<Panel title="Existing cart">
			<Form action="Load cart" submit={submit}>
				<TextField label="ID of a cart" name="cart" value={id} hint="Blank: a new cart" />
			</Form>
		</Panel>
	);
}

function CartPreview({ id }: { id: string }) {
	const found = useData((signal) => reads.carts.get({ id }, { signal }), [id]);
	if (found.data) return <PreviewForm cart={found.data} />;
	return found.error === undefined ? (
		<Loading />
	) : (
		<Failure error={found.error} retry={found.reload} />
	);
}

function PreviewForm({ cart }: { cart?: Cart }) {
	const product = query.value.get("product");
	const [lines, setLines] = useState<Lines>(() =>
		cart
			? Object.fromEntries(cart.lines.map(({ product_id, quantity }) => [product_id, quantity]))
			: product
				? { [product]: 1 }
				: {},
	);
	const [preview, setPreview] = useState<Preview>();
	const result = useRef<HTMLDivElement>(null);
	// Before the prices are visible, so that they take no key presses from a field.
	useLayoutEffect(() => {
		if (preview) result.current?.focus();
	}, [preview]);
	const submit = async (values: FormData) => {
		if (Object.keys(lines).length === 0) throw new Error("Add a product");
		const request = readPreview(values, lines, cart);
		setPreview(await shop.carts.preview(request).catch(atInputs(inputOf)));
	};
	return (
		<>
			<Panel title={cart ? `Cart (${cart.status})` : "New cart"}>
				<Form action="Calculate" submit={submit}>
					<Products lines={lines} setLines={setLines} />
					<Buyer {...(cart ? { cart } : {})} />
				</Form>
			</Panel>
			{preview && (
				<section ref={result} tabIndex={-1} aria-label="Prices">
					<PreviewResult preview={preview} />
				</section>
			)}
		</>
	);
}

interface ProductsProps {
	readonly lines: Lines;
	setLines(lines: Lines): void;
}
function Products({ lines, setLines }: ProductsProps) {
	const ids = Object.keys(lines);
	return (
		<fieldset>
			<legend>Products</legend>
			<ul class="choices" aria-label="Products of the cart">
				{ids.map((id, position) => (
					<li key={id}>
						<ProductName id={id} />
						<span class="actions">
							<input
								type="number"
								name={`lines[${position}]`}
								aria-label={`Quantity of product ${position + 1}`}
								min={1}
								max={MAX_QUANTITY}
								value={lines[id]}
								required
								onInput={({ currentTarget }) =>
									setLines({ ...lines, [id]: Number(currentTarget.value) })
								}
							/>
							<button
								type="button"
								aria-label={`Remove product ${position + 1}`}
								onClick={() =>
									setLines(Object.fromEntries(Object.entries(lines).filter(([one]) => one !== id)))
								}
							>
								×
							</button>
						</span>
					</li>
				))}
			</ul>
			{ids.length < MAX_LINES && (
				<ProductSearch
					label="Add a product"
					chosen={ids}
					onChoose={({ id }) => setLines({ ...lines, [id]: 1 })}
				/>
			)}
		</fieldset>
	);
}

/** Address, shipping method, coupons and customer. */
function Buyer({ cart }: { cart?: Cart }) {
	const address = cart?.shipping_address;
	const coupon = query.value.get("coupon") ?? "";
	return (
		<>
			<div class="columns">
				<TextField
					label="Country"
					name="country"
					value={address?.country}
					hint="Code such as DE. Blank: that of the shop"
				/>
				<TextField label="Postal code" name="postal_code" value={address?.postal_code ?? ""} />
				<TextField label="Region" name="region" value={address?.region ?? ""} />
				<ShippingMethod value={cart?.shipping_method ?? ""} />
			</div>
			<div class="columns">
				<TextField
					label="Coupon codes"
					name="coupon_codes"
					value={cart?.coupon_codes.join(", ") ?? coupon}
					hint="Separated by commas"
				/>
				<TextField
					label="E-mail address of a guest"
					name="email"
					type="email"
					value={cart?.email ?? ""}
				/>
				<TextField label="ID of an account" name="user_id" value={cart?.user_id ?? ""} />
			</div>
		</>
	);
}

/** Methods to choose from; without them, any code can be entered. */
function ShippingMethod({ value }: { value: string }) {
	const { data } = useData((signal) => reads.shipping.methods({}, { signal }), []);
	const field = { label: "Shipping method", name: "shipping_method", value };
	if (!data) return <TextField {...field} />;
	const codes = new Set([...data.map(({ code }) => code), ...(value ? [value] : [])]);
	const nameOf = (code: string) => data.find((one) => one.code === code)?.name ?? code;
	const choices = Object.fromEntries([...codes].map((code) => [code, nameOf(code)]));
	return <SelectField {...field} choices={{ "": "The first that delivers", ...choices }} />;
}
