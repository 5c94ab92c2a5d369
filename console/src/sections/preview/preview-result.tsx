import { Facts, Panel } from "../../components/page.tsx";
import { Empty } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, Money } from "../../components/values.tsx";
import { formatNumber, formatTaxRate } from "../../format.ts";
import { describeProblem, type Preview } from "./preview-values.ts";

type Line = Preview["lines"][number];

/** Prices of a cart. */
export function PreviewResult({ preview }: { preview: Preview }) {
	const { problems, lines, estimated } = preview;
	return (
		<>
			{estimated && (
				<p class="notice" role="status">
					Tax, shipping or promotions do not respond: their last known values apply.
				</p>
			)}
			{problems.length > 0 && (
				<div class="notice" role="status">
					These problems prevent the checkout:
					<ul class="notice-list">
						{problems.map((problem) => {
							const text = describeProblem(problem, lines);
							return <li key={text}>{text}</li>;
						})}
					</ul>
				</div>
			)}
			<div class="grid">
				<Lines preview={preview} />
				<Totals preview={preview} />
				<Adjustments preview={preview} />
				<Taxes preview={preview} />
				<ShippingMethods preview={preview} />
			</div>
		</>
	);
}

function Lines({ preview: { lines, currency } }: { preview: Preview }) {
	const money =
		(field: "unit_price" | "subtotal" | "discount" | "tax" | "total") => (line: Line) => (
			<Money amount={line[field]} currency={currency} />
		);
	const columns: readonly Column<Line>[] = [
		{
			title: "Product",
			cell: ({ product_id, name }) => (
				<Link to={`/products/${product_id}`}>{name || product_id}</Link>
			),
		},
		{ title: "Price", align: "end", wide: true, cell: money("unit_price") },
		{ title: "Quantity", align: "end", cell: ({ quantity }) => formatNumber(quantity) },
		{
			title: "Available",
			align: "end",
			wide: true,
			cell: ({ available }) => (available === null ? "unknown" : formatNumber(available)),
		},
		{ title: "Subtotal", align: "end", wide: true, cell: money("subtotal") },
		{ title: "Discount", align: "end", cell: money("discount") },
		{ title: "Tax", align: "end", wide: true, cell: money("tax") },
		{ title: "Total", align: "end", cell: money("total") },
	];
	return (
		<Panel title="Lines" full>
			<Table label="Lines" rows={lines} columns={columns} keyOf={({ product_id }) => product_id} />
		</Panel>
	);
}

function Totals({ preview }: { preview: Preview }) {
	const money = (amount: number) => <Money amount={amount} currency={preview.currency} />;
	return (
		<Panel title="Totals">
			<Facts
				rows={{
					Subtotal: money(preview.subtotal),
					Discount: money(preview.discount_amount > 0 ? -preview.discount_amount : 0),
					Shipping: money(preview.shipping_amount),
					[preview.prices_include_tax ? "Included tax" : "Tax"]: money(preview.tax_amount),
					Total: <strong>{money(preview.total_amount)}</strong>,
				}}
			/>
		</Panel>
	);
}

function Adjustments({ preview: { adjustments, currency } }: { preview: Preview }) {
	return (
		<Panel title="Promotions">
			{adjustments.length === 0 && <Empty>No promotion applies.</Empty>}
			<dl class="facts">
				{adjustments.map(({ promotion_id, name, code, amount }) => (
					<div key={promotion_id}>
						<dt>
							<Link to={`/promotions/${promotion_id}`}>{name}</Link> {code}
						</dt>
						<dd>
							<Money amount={amount > 0 ? -amount : amount} currency={currency} />
						</dd>
					</div>
				))}
			</dl>
		</Panel>
	);
}

function Taxes({ preview: { taxes, currency } }: { preview: Preview }) {
	return (
		<Panel title="Taxes">
			{taxes.length === 0 && <Empty>No tax applies.</Empty>}
			<Facts
				rows={Object.fromEntries(
					taxes.map(({ name, rate, amount }) => [
						`${name} ${formatTaxRate(rate)}`,
						<Money key={name} amount={amount} currency={currency} />,
					]),
				)}
			/>
		</Panel>
	);
}

function ShippingMethods({ preview }: { preview: Preview }) {
	const { shipping_methods, shipping_method, currency } = preview;
	return (
		<Panel title="Shipping methods">
			{shipping_methods.length === 0 && <Empty>No method delivers the cart.</Empty>}
			<dl class="facts">
				{shipping_methods.map(({ code, name, price }) => (
					<div key={code}>
						<dt>{code === shipping_method ? `${name} (applied)` : name}</dt>
						<dd>
							<Money amount={price} currency={currency} />
						</dd>
					</div>
				))}
			</dl>
		</Panel>
	);
}
