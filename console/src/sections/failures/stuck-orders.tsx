import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads, shop } from "../../api.ts";
import { ActionButton } from "../../components/action-button.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, ShortId, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { Tabs } from "./tabs.tsx";

const POLL_MS = 5000;
const LIMIT = 100;

type StuckOrder = ResultOf<"orders.listStuck">["rows"][number];
const columnsOf = (onSettled: () => void): readonly Column<StuckOrder>[] => [
	{
		title: "Order",
		cell: ({ id }) => (
			<Link to={`/orders/${id}`}>
				<ShortId id={id} />
			</Link>
		),
	},
	{ title: "Placed", wide: true, cell: ({ created_at }) => <Time at={created_at} /> },
	{ title: "Status", wide: true, cell: ({ status }) => <StatusBadge status={status} /> },
	{ title: "Reason", cell: ({ reason }) => reason },
	{
		title: "Action",
		cell: ({ id }) => (
			<ActionButton
				act={() => shop.orders.retryStuck({ id })}
				done="The compensation is retried."
				onSettled={onSettled}
			>
				Retry<span class="visually-hidden">{` order ${id}`}</span>
			</ActionButton>
		),
	},
];

/** List of the orders whose compensation failed repeatedly. */
export function StuckOrders() {
	const found = useData((signal) => reads.orders.listStuck({ limit: LIMIT }, { signal }), [], {
		poll: POLL_MS,
	});
	return (
		<Page title="Stuck orders">
			<Tabs />
			<p class="muted">
				The compensation of these orders failed repeatedly: stock may be reserved, or a payment not
				refunded. A retry starts it again.
			</p>
			<Loaded of={found}>
				{({ count, rows }) => (
					<>
						<Table
							label="Stuck orders"
							rows={rows}
							columns={columnsOf(found.reload)}
							keyOf={({ id }) => id}
							empty="No order is stuck."
						/>
						{count > rows.length && (
							<p class="hint">{`The oldest ${rows.length} of ${formatNumber(count)}`}</p>
						)}
					</>
				)}
			</Loaded>
		</Page>
	);
}
