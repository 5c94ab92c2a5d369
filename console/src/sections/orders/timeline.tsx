import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { Facts } from "../../components/page.tsx";
import { Empty } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Badge, Time } from "../../components/values.tsx";
import { words } from "../../format.ts";

type History = ResultOf<"orders.timeline">;
type Entry = History["entries"][number];

const columns: readonly Column<Entry>[] = [
	{ title: "Time", cell: ({ time }) => <Time at={time} /> },
	{ title: "Event", cell: ({ name }) => words(name) },
	{
		title: "Kind",
		cell: ({ kind }) => <Badge tone={kind === "retry" ? "warn" : "neutral"}>{kind}</Badge>,
	},
	{ title: "Service", wide: true, cell: ({ source }) => source },
	{
		title: "Detail",
		cell: ({ detail, trace_id }) => (
			<details>
				<summary>Show</summary>
				<pre>
					{JSON.stringify({ ...(detail as object), ...(trace_id ? { trace_id } : {}) }, null, 2)}
				</pre>
			</details>
		),
	},
];

/** All entries of an order, newest first. @param live whether events arrive at once */
export function Timeline({ timeline, live }: { timeline: History; live: boolean }) {
	const { entries, incomplete, attempts } = timeline;
	return (
		<>
			<p class="muted">
				<Badge tone={live ? "good" : "warn"}>{live ? "live" : "connecting"}</Badge>{" "}
				{attempts > 1 && `${attempts} runs of the saga. `}
				{incomplete.length > 0 &&
					`Without the entries of ${incomplete.join(", ")}, which do not respond.`}
			</p>
			<Table
				label="Timeline"
				rows={entries.toReversed()}
				columns={columns}
				keyOf={({ time, source, kind, name }) => `${time} ${source} ${kind} ${name}`}
			/>
		</>
	);
}

/** The events of the order's shipment. */
export function Shipment({ entries }: { entries: readonly Entry[] }) {
	const events = entries.filter(({ name }) => name.startsWith("shipment."));
	if (events.length === 0) return <Empty>No shipment yet.</Empty>;
	const tracking = events
		.map(({ detail }) => (detail as { tracking_number?: string } | null)?.tracking_number)
		.findLast(Boolean);
	return (
		<Facts
			rows={{
				"Tracking number": tracking,
				...Object.fromEntries(
					events.map(({ name, time }) => [
						capitalized(name.split(".")[1]!),
						<Time key={name} at={time} />,
					]),
				),
			}}
		/>
	);
}

const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
