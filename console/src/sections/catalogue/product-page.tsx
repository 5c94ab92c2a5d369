import { shop } from "../../api.ts";
import { DeleteButton } from "../../components/action-button.tsx";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Empty, Loaded } from "../../components/states.tsx";
import { Link, Money, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { href, navigate } from "../../router.ts";
import { loadVersion, type Version } from "./edit-product.tsx";
import { describe, type Product } from "./product-values.ts";
import { StockActions, useStock } from "./stock.tsx";
import { Variants } from "./variants.tsx";

/** A product or variant with all its fields, its stock and its variants. */
export function ProductPage({ id }: { id: string }) {
	const found = useData((signal) => loadVersion(id, signal), [id]);
	const product = found.data?.product;
	return (
		<Page
			title={product?.name ?? "Product"}
			actions={found.data && <ProductActions version={found.data} reload={found.reload} />}
		>
			<Loaded of={found}>
				{({ product: current }) => (
					<div class="grid">
						<Fields product={current} />
						{current.variant_count === 0 && <StockPanel product={current} />}
						<Attributes product={current} />
						<Images product={current} />
						{!current.parent_id && <Variants product={current} onChange={found.reload} />}
					</div>
				)}
			</Loaded>
		</Page>
	);
}

function ProductActions({ version, reload }: { version: Version; reload(): void }) {
	const { product, etag } = version;
	const { id, name, parent_id, variant_count } = product;
	const remove = async () => {
		await shop.products.remove({ id }, etag === undefined ? {} : { ifMatch: etag });
		navigate(parent_id ? `/products/${parent_id}` : "/products", { replace: true });
	};
	const variants = variant_count > 0 ? ` and its ${variant_count} variants` : "";
	return (
		<>
			{variant_count === 0 && (
				<a class="button" href={href(`/preview?product=${id}`)}>
					Preview price
				</a>
			)}
			<a class="button" href={href(`/products/${id}/edit`)}>
				Edit
			</a>
			<DeleteButton
				kind="product"
				name={name}
				effect={`${name}${variants} can no longer be ordered. Past orders keep it.`}
				remove={remove}
				onSettled={reload}
			/>
		</>
	);
}

function Fields({ product }: { product: Product }) {
	const { id, parent_id, options, option_names, description, price, currency } = product;
	return (
		<Panel title="Product">
			<Facts
				rows={{
					"Variant of": parent_id && <Link to={`/products/${parent_id}`}>Open the product</Link>,
					...options,
					Price: <Money amount={price} currency={currency} />,
					Category: (
						<Link to={`/products?category=${encodeURIComponent(product.category)}`}>
							{product.category}
						</Link>
					),
					SKU: product.sku,
					"Options of variants": option_names?.join(", "),
					Description: description && <span class="text">{description}</span>,
					Created: <Time at={product.created_at} />,
					Changed: <Time at={product.updated_at} />,
					ID: <code>{id}</code>,
				}}
			/>
		</Panel>
	);
}

function StockPanel({ product }: { product: Product }) {
	const found = useStock([product]);
	return (
		<Panel title="Stock">
			<Loaded of={found}>
				{(stocks) => {
					const stock = stocks.get(product.id);
					// It is created before the product, so it is missing only after a loss of data.
					if (!stock) return <Empty>The product has no stock record.</Empty>;
					return (
						<>
							<dl class="figures">
								{(["on_hand", "reserved", "available"] as const).map((name) => (
									<div key={name}>
										<dt>{STOCK_LABELS[name]}</dt>
										<dd>{formatNumber(stock[name])}</dd>
									</div>
								))}
							</dl>
							<StockActions name={product.name} stock={stock} onChange={found.reload} />
						</>
					);
				}}
			</Loaded>
		</Panel>
	);
}
const STOCK_LABELS = { on_hand: "On hand", reserved: "Reserved", available: "Available" };

function Attributes({ product: { attributes } }: { product: Product }) {
	const entries = Object.entries(attributes);
	return (
		<Panel title="Attributes">
			{entries.length === 0 && <Empty>No attributes.</Empty>}
			<Facts rows={Object.fromEntries(entries.map(([name, value]) => [name, describe(value)]))} />
		</Panel>
	);
}

function Images({ product: { images, name } }: { product: Product }) {
	return (
		<Panel title="Images">
			{images.length === 0 && <Empty>No images.</Empty>}
			<div class="images">
				{images.map(({ url, alt }) => (
					<a key={url} href={url} target="_blank" rel="noreferrer">
						<img class="thumb" src={url} alt={alt || name} loading="lazy" />
					</a>
				))}
			</div>
		</Panel>
	);
}
