import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { DialogButton } from "../../components/dialog.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Paging, pageOfQuery, Table } from "../../components/table.tsx";
import { Badge, Link, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { query } from "../../router.ts";
import { StartAudit } from "./start-audit.tsx";
import { Tabs } from "./tabs.tsx";

const POLL_MS = 3000;

type Audit = ResultOf<"orders.listAudits">[number];
const columns: readonly Column<Audit>[] = [
	{
		title: "Started",
		cell: ({ id, started_at }) => (
			<Link to={`/audits/${id}`}>
				<Time at={started_at} />
			</Link>
		),
	},
	{ title: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
	{
		title: "Orders since",
		wide: true,
		cell: ({ since }) => (since ? <Time at={since} /> : "all orders"),
	},
	{ title: "Checked", wide: true, align: "end", cell: ({ checked }) => formatNumber(checked) },
	{ title: "Skipped", wide: true, align: "end", cell: ({ skipped }) => formatNumber(skipped) },
	{
		title: "Violations",
		align: "end",
		cell: ({ violation_count }) => (
			<Badge tone={violation_count > 0 ? "bad" : "neutral"}>{formatNumber(violation_count)}</Badge>
		),
	},
];

/** List of the audits, newest first, and the dialog that starts one. */
export function AuditList() {
	const position = pageOfQuery();
	const found = useData(
		(signal) => {
			const { skip, limit } = position;
			return reads.orders.listAudits({ skip, limit }, { signal });
		},
		[query.value.toString()],
		{ poll: POLL_MS },
	);
	return (
		<Page
			title="Audits"
			actions={
				<DialogButton label="Start audit …">
					{(close) => <StartAudit onClose={close} />}
				</DialogButton>
			}
		>
			<Tabs />
			<p class="muted">
				An audit compares the records of all services while the shop is in use, and reports what
				does not fit together.
			</p>
			<Loaded of={found}>
				{(rows) => (
					<>
						<Table
							label="Audits"
							rows={rows}
							columns={columns}
							keyOf={({ id }) => id}
							empty="No audit in the last 90 days."
						/>
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}
