import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, Money, ShortId, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { MessageTable } from "../messages/message-table.tsx";
import type { User } from "./user.ts";

/** Newest records on the page; links lead to all of them. */
const SHOWN = 10;

type Order = ResultOf<"orders.list">[number];
const orderColumns: readonly Column<Order>[] = [
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
		title: "Total",
		align: "end",
		cell: ({ total_amount, currency }) => <Money amount={total_amount} currency={currency} />,
	},
];

export function Orders({ user: { id, email } }: { user: User }) {
	const found = useData(
		(signal) => reads.orders.list({ user_id: id, limit: SHOWN }, { signal }),
		[id],
	);
	return (
		<Panel title="Orders" full>
			<Loaded of={found}>
				{(rows) => (
					<>
						<Table
							label="Newest orders"
							rows={rows}
							columns={orderColumns}
							keyOf={(order) => order.id}
							empty="No order yet."
						/>
						<All rows={rows} to={`/orders?q=${encodeURIComponent(email)}`} of="orders" />
					</>
				)}
			</Loaded>
		</Panel>
	);
}

export function Messages({ user: { id, email } }: { user: User }) {
	const found = useData(
		(signal) => reads.notifications.list({ user_id: id, limit: SHOWN }, { signal }),
		[id],
	);
	return (
		<Panel title="Messages" full>
			<Loaded of={found}>
				{(rows) => (
					<>
						<MessageTable label="Newest messages" rows={rows} empty="No message yet." />
						<All rows={rows} to={`/messages?q=${encodeURIComponent(email)}`} of="messages" />
					</>
				)}
			</Loaded>
		</Panel>
	);
}

interface AllProps {
	readonly rows: { readonly length: number; readonly total: number };
	readonly to: string;
	readonly of: string;
}
const All = ({ rows: { length, total }, to, of }: AllProps) =>
	total > length ? (
		<p class="more">
			<Link to={to}>{`All ${formatNumber(total)} ${of}`}</Link>
		</p>
	) : null;
