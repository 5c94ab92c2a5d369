import type { ResultOf, Rows } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Filters, SelectFilter, TextFilter } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Failure, Loaded } from "../../components/states.tsx";
import { type Column, Paging, pageOfQuery, Table } from "../../components/table.tsx";
import { Link, Money } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { href, query } from "../../router.ts";
import { ExportButton } from "./export-button.tsx";
import { categoryChoices, filtersOf, SORTS, STOCK } from "./filters.ts";
import { Available, useStock } from "./stock.tsx";

type Product = ResultOf<"products.list">[number];

/** A longer list of categories is searched by text instead. */
const MAX_CHOICES = 300;

/** List of products, with search. */
export function ProductList() {
	const position = pageOfQuery();
	const { skip, limit } = position;
	const found = useData(
		(signal) => reads.products.list({ skip, limit, ...filtersOf(query.value) }, { signal }),
		[query.value.toString()],
	);
	return (
		<Page
			title="Catalogue"
			actions={
				<>
					<a class="button" href={href("/products/new")}>
						New product
					</a>
					<a class="button" href={href("/products/import")}>
						Import
					</a>
					<ExportButton format="csv" />
					<ExportButton format="ndjson" />
				</>
			}
		>
			<Filters>
				<TextFilter label="Search" name="q" />
				<CategoryFilter />
				<SelectFilter label="Stock" name="stock" choices={STOCK} />
				<SelectFilter label="Sorted by" name="sort" choices={SORTS} all="Default" />
			</Filters>
			<Loaded of={found}>
				{(rows) => (
					<>
						{rows.corrected && (
							<p class="hint">No product contains these words. Found instead: {rows.corrected}</p>
						)}
						<Products rows={rows} />
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

function CategoryFilter() {
	const { data } = useData((signal) => reads.products.categories({}, { signal }), []);
	const choices = data && categoryChoices(data);
	return choices && Object.keys(choices).length <= MAX_CHOICES ? (
		<SelectFilter label="Category" name="category" choices={choices} />
	) : (
		<TextFilter label="Category" name="category" />
	);
}

/** The stock comes from another service, which may be down. */
function Products({ rows }: { rows: Rows<Product> }) {
	const stock = useStock(rows.filter(({ variant_count }) => variant_count === 0));
	const columns: readonly Column<Product>[] = [
		{ title: "Name", cell: ({ id, name }) => <Link to={`/products/${id}`}>{name}</Link> },
		{ title: "SKU", wide: true, cell: ({ sku }) => sku },
		{ title: "Category", wide: true, cell: ({ category }) => category },
		{
			title: "Price",
			align: "end",
			cell: ({ price, currency }) => <Money amount={price} currency={currency} />,
		},
		{
			title: "Available",
			align: "end",
			cell: ({ id, variant_count }) =>
				variant_count > 0 ? `${variant_count} variants` : <Available stock={stock.data?.get(id)} />,
		},
	];
	return (
		<>
			{stock.error !== undefined && <Failure error={stock.error} retry={stock.reload} />}
			<Table
				label="Products"
				rows={rows}
				columns={columns}
				keyOf={({ id }) => id}
				empty="No product matches."
			/>
		</>
	);
}
