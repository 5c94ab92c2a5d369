import { isProblem, type ResultOf, type Rows } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Filters, SelectFilter, TextFilter } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Paging, pageOfQuery, Table } from "../../components/table.tsx";
import { Link, Money, ShortId, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { query } from "../../router.ts";
import { filtersOf, STATUSES, searchOf } from "./filters.ts";

const POLL_MS = 2000;

type Order = ResultOf<"orders.list">[number];
const columns: readonly Column<Order>[] = [
	{
		title: "Order",
		cell: ({ id }) => (
			<Link to={`/orders/${id}`}>
				<ShortId id={id} />
			</Link>
		),
	},
	{ title: "Placed", cell: ({ created_at }) => <Time at={created_at} /> },
	{ title: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
	{
		title: "Items",
		wide: true,
		align: "end",
		cell: ({ items }) => items.reduce((sum, { quantity }) => sum + quantity, 0),
	},
	{
		title: "Total",
		align: "end",
		cell: ({ total_amount, currency }) => <Money amount={total_amount} currency={currency} />,
	},
];

/** List of orders, newest first. New orders appear by polling. */
export function OrderList() {
	const position = pageOfQuery();
	const found = useData((signal) => load(query.value, position, signal), [query.value.toString()], {
		poll: POLL_MS,
	});
	return (
		<Page title="Orders">
			<Filters>
				<TextFilter label="Order ID or e-mail address" name="q" />
				<SelectFilter label="Status" name="status" choices={STATUSES} />
				<TextFilter label="Placed from" name="from" type="datetime-local" />
				<TextFilter label="Placed before" name="to" type="datetime-local" />
			</Filters>
			<Loaded of={found}>
				{(rows) => (
					<>
						<Table
							label="Orders"
							rows={rows}
							columns={columns}
							keyOf={({ id }) => id}
							empty={
								searchOf(query.value.get("q") ?? "").by === "incomplete"
									? "Enter the complete ID of an order, or an e-mail address."
									: "No order matches."
							}
						/>
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

/** Loads a page of the list, or the order with the ID. */
async function load(
	filters: URLSearchParams,
	{ skip, limit }: { skip: number; limit: number },
	signal: AbortSignal,
): Promise<Rows<Order>> {
	const search = searchOf(filters.get("q") ?? "");
	if (search.by === "incomplete") return rowsOf();
	if (search.by === "id")
		return reads.orders.get({ id: search.id }, { signal }).then(rowsOf, (error) => {
			if (isProblem(error, "ORDER_NOT_FOUND")) return rowsOf();
			throw error;
		});
	const email = search.by === "email" ? { email: search.email } : {};
	return reads.orders.list({ skip, limit, ...email, ...filtersOf(filters) }, { signal });
}

const rowsOf = (...rows: Order[]): Rows<Order> => Object.assign(rows, { total: rows.length });
