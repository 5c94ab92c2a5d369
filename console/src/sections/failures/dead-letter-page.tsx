import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { navigate } from "../../router.ts";
import { DeadLetterActions } from "./dead-letter-actions.tsx";
import { Subject } from "./dead-letter-list.tsx";
import { titleOf } from "./selection.ts";

type DeadLetter = ResultOf<"operations.getDeadLetter">;
/** `i` is the position in the list. */
type Failed = DeadLetter["errors"][number] & { readonly i: number };
const columns: readonly Column<Failed>[] = [
	{ title: "Time", cell: ({ time }) => <Time at={time} /> },
	{ title: "Error", cell: ({ message }) => message },
];

/** A dead letter with its event and its errors. */
export function DeadLetterPage({ service, event_id }: { service: string; event_id: string }) {
	const list = `/failures?service=${encodeURIComponent(service)}`;
	const found = useData(
		(signal) => reads.operations.getDeadLetter({ service, event_id }, { signal }),
		[service, event_id],
	);
	return (
		<Page
			title={found.data ? titleOf(found.data) : "Dead letter"}
			actions={
				found.data && <DeadLetterActions of={found.data} onDone={() => navigate("/failures")} />
			}
		>
			<p>
				<Link to={list}>{`Dead letters of ${service}`}</Link>
			</p>
			<Loaded of={found}>
				{(letter) => (
					<>
						<Panel title="Event">
							<Facts
								rows={{
									Type: titleOf(letter),
									Service: service,
									Subject: <Subject of={letter} />,
									Attempts: letter.attempts,
									Failed: <Time at={letter.dead_at} />,
									ID: <code>{event_id}</code>,
								}}
							/>
						</Panel>
						<Panel title="Errors">
							<Table
								label="Error history"
								rows={letter.errors.map((error, i) => ({ ...error, i }))}
								columns={columns}
								keyOf={({ i }) => String(i)}
								empty={letter.error}
							/>
						</Panel>
						<Panel title="Content">
							{/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls the text */}
							<pre class="text" tabIndex={0}>
								{JSON.stringify(letter.event, null, 2)}
							</pre>
						</Panel>
					</>
				)}
			</Loaded>
		</Page>
	);
}
