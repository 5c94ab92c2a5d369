import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Filters, SelectFilter, TextFilter } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, ShortId, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { href, query } from "../../router.ts";
import { DiscardButton, RetryButton } from "./dead-letter-actions.tsx";
import { pageOfEvent, positionOf, selectionOf, titleOf } from "./selection.ts";
import { Tabs, Unavailable } from "./tabs.tsx";

const POLL_MS = 5000;
const LIMIT = 50;

type DeadLetter = ResultOf<"operations.listDeadLetters">["rows"][number];
const columns: readonly Column<DeadLetter>[] = [
	{
		title: "Event",
		cell: (letter) => (
			<Link to={`/failures/${encodeURIComponent(letter.service)}/${letter.event_id}`}>
				{titleOf(letter)}
			</Link>
		),
	},
	{ title: "Service", cell: ({ service }) => service },
	{ title: "Subject", wide: true, cell: (letter) => <Subject of={letter} /> },
	{ title: "Error", cell: ({ error }) => <span class="cut">{error}</span> },
	{ title: "Attempts", wide: true, align: "end", cell: ({ attempts }) => attempts },
	{ title: "Failed", wide: true, cell: ({ dead_at }) => <Time at={dead_at} /> },
];

/** List of the dead letters of all services, oldest first, with actions for the whole selection. */
export function DeadLetterList() {
	const selection = selectionOf(query.value);
	const position = positionOf(query.value);
	const found = useData(
		(signal) =>
			reads.operations.listDeadLetters({ ...selection, ...position, limit: LIMIT }, { signal }),
		[query.value.toString()],
		{ poll: POLL_MS },
	);
	const hasRows = (found.data?.rows.length ?? 0) > 0;
	return (
		<Page
			title="Dead letters"
			actions={
				hasRows && (
					<>
						<RetryButton of={selection} onSettled={found.reload} />
						<DiscardButton of={selection} onSettled={found.reload} />
					</>
				)
			}
		>
			<Tabs />
			<DeadLetterFilters />
			<Loaded of={found}>
				{({ rows, unavailable }) => (
					<>
						<Unavailable services={unavailable} rows="dead letters" />
						<Table
							label="Dead letters"
							rows={rows}
							columns={columns}
							keyOf={({ service, event_id }) => `${service} ${event_id}`}
							empty="No dead letter: every event is processed, or has further attempts."
						/>
						<More rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

function DeadLetterFilters() {
	const queues = useData((signal) => reads.operations.queues({}, { signal }), [], {
		poll: POLL_MS,
	});
	const { services = [], unavailable = [] } = queues.data ?? {};
	const selected = query.value.get("service");
	const labels: Record<string, string> = { ...(selected ? { [selected]: selected } : {}) };
	for (const service of unavailable) labels[service] = `${service} (unavailable)`;
	for (const { service, dead_letters } of services)
		labels[service] = dead_letters > 0 ? `${service} (${formatNumber(dead_letters)})` : service;
	const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
	return (
		<Filters>
			<SelectFilter label="Service" name="service" choices={Object.fromEntries(sorted)} />
			<TextFilter label="Event type, or its kind: order.*" name="type" />
		</Filters>
	);
}

/** Links to the first and the next page of one service. */
function More({ rows }: { rows: readonly DeadLetter[] }) {
	const { after } = positionOf(query.value);
	const last = rows.length === LIMIT ? rows.at(-1) : undefined;
	if (!query.value.get("service"))
		return last ? (
			<p class="hint">
				These are the oldest {LIMIT}. Select a service to see all of its dead letters.
			</p>
		) : null;
	const link = (text: string, position: string | undefined) => {
		const next = new URLSearchParams(query.value);
		if (position) next.set("page", position);
		else next.delete("page");
		return (
			<a class="button" href={href(`/failures?${next}`)}>
				{text}
			</a>
		);
	};
	return (
		<nav class="paging" aria-label="Pages">
			{after && link("First page", undefined)}
			{last && link("Next", last.event_id)}
		</nav>
	);
}

export function Subject({ of: { type, subject } }: { of: Pick<DeadLetter, "type" | "subject"> }) {
	const page = pageOfEvent(type, subject);
	return page ? (
		<Link to={page}>
			<ShortId id={subject} />
		</Link>
	) : (
		<code>{subject}</code>
	);
}
