import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber, formatSeconds, formatShare } from "../../format.ts";
import { POLL_MS } from "./poll.ts";

type Queue = ResultOf<"operations.queues">["services"][number];
const columns: readonly Column<Queue>[] = [
	{ title: "Service", cell: ({ service }) => service },
	{ title: "Backlog", align: "end", cell: ({ backlog }) => formatNumber(backlog) },
	{ title: "Lag", align: "end", cell: ({ lag_seconds }) => formatSeconds(lag_seconds) },
	{ title: "Unread", align: "end", wide: true, cell: ({ pending }) => formatNumber(pending) },
	{
		title: "Stream used",
		align: "end",
		wide: true,
		cell: ({ unread_share }) => formatShare(unread_share),
	},
	{ title: "Retries", align: "end", cell: ({ retries }) => formatNumber(retries) },
	{
		title: "Dead letters",
		align: "end",
		cell: ({ service, dead_letters }) =>
			dead_letters === 0 ? (
				"0"
			) : (
				<Link to={`/failures?service=${service}`}>{formatNumber(dead_letters)}</Link>
			),
	},
];

/** Unpublished, unread and failed events of each service. */
export function Queues() {
	const found = useData((signal) => reads.operations.queues({}, { signal }), [], { poll: POLL_MS });
	return (
		<Loaded of={found}>
			{({ services, unavailable }) => (
				<>
					<Table
						label="Queues"
						rows={services}
						columns={columns}
						keyOf={({ service }) => service}
					/>
					{unavailable.length > 0 && (
						<p class="problem">{`Without ${unavailable.join(", ")}: no response.`}</p>
					)}
				</>
			)}
		</Loaded>
	);
}
