import { shop } from "../../api.ts";
import { DeleteButton } from "../../components/action-button.tsx";
import { Panel } from "../../components/page.tsx";
import { Failure } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, Money } from "../../components/values.tsx";
import { href } from "../../router.ts";
import type { Product, Variant } from "./product-values.ts";
import { Available, StockActions, useStock } from "./stock.tsx";

interface VariantsProps {
	readonly product: Product;
	onChange(): void;
}
/** Variants of a product with their stock. */
export function Variants({ product: { id, variants, option_names }, onChange }: VariantsProps) {
	const stock = useStock(variants);
	const nameOf = ({ options }: Variant) => Object.values(options ?? {}).join(" / ");
	const columns: readonly Column<Variant>[] = [
		{
			title: "Variant",
			cell: (variant) => <Link to={`/products/${variant.id}`}>{nameOf(variant)}</Link>,
		},
		{ title: "SKU", wide: true, cell: ({ sku }) => sku },
		{
			title: "Price",
			align: "end",
			cell: ({ price, currency }) => <Money amount={price} currency={currency} />,
		},
		{
			title: "Available",
			align: "end",
			cell: (variant) => <Available stock={stock.data?.get(variant.id)} />,
		},
		{
			title: "Actions",
			cell: (variant) => {
				const found = stock.data?.get(variant.id);
				return (
					<div class="actions">
						{found && <StockActions name={nameOf(variant)} stock={found} onChange={stock.reload} />}
						<RemoveButton id={variant.id} name={nameOf(variant)} onChange={onChange} />
					</div>
				);
			},
		},
	];
	return (
		<Panel
			title="Variants"
			full
			actions={
				option_names && (
					<a class="button" href={href(`/products/${id}/new-variant`)}>
						New variant
					</a>
				)
			}
		>
			{stock.error !== undefined && <Failure error={stock.error} retry={stock.reload} />}
			<Table
				label="Variants"
				rows={variants}
				columns={columns}
				keyOf={(variant) => variant.id}
				empty={
					option_names
						? "No variants yet."
						: "The product has no options, so it can have no variants. Edit it to add options."
				}
			/>
		</Panel>
	);
}

const RemoveButton = ({ id, name, onChange }: { id: string; name: string; onChange(): void }) => (
	<DeleteButton
		kind="variant"
		name={name}
		effect={`${name} can no longer be ordered. Past orders keep it.`}
		remove={() => shop.products.remove({ id })}
		onSettled={onChange}
		inList
	/>
);
