import { useEffect, useState } from "preact/hooks";
import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, ShortId, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { pageOfViolation } from "./selection.ts";

/** Pause between two polls while the audit runs. */
const POLL_MS = 1000;

type Audit = ResultOf<"orders.getAudit">;
/** `i` is the position in the list. */
type Violation = Audit["violations"][number] & { readonly i: number };
const columns: readonly Column<Violation>[] = [
	{ title: "Invariant", cell: ({ invariant }) => <code>{invariant}</code> },
	{ title: "Subject", cell: (violation) => <Subject of={violation} /> },
	{ title: "Detail", cell: ({ detail }) => detail },
];

/** An audit with its progress and its violations. */
export function AuditPage({ id }: { id: string }) {
	const [running, setRunning] = useState(true);
	const audit = useData((signal) => reads.orders.getAudit({ id }, { signal }), [id], {
		poll: running ? POLL_MS : undefined,
	});
	const status = audit.data?.status;
	useEffect(() => setRunning(status === undefined || status === "running"), [status]);
	return (
		<Page title="Audit">
			<p>
				<Link to="/audits">All audits</Link>
			</p>
			<Loaded of={audit}>
				{(found) => (
					<>
						<Summary audit={found} />
						<Violations audit={found} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

function Summary({ audit }: { audit: Audit }) {
	const { status, since, started_at, finished_at, requested_by, failure } = audit;
	return (
		<Panel title="Progress">
			<Progress audit={audit} />
			<Facts
				rows={{
					Status: <StatusBadge status={status} />,
					Failure: failure,
					"Orders since": since ? <Time at={since} /> : "all orders",
					Checked: formatNumber(audit.checked),
					Skipped: formatNumber(audit.skipped),
					Started: <Time at={started_at} />,
					Finished: finished_at && <Time at={finished_at} />,
					"Requested by": <Link to={`/customers/${requested_by}`}>Administrator</Link>,
				}}
			/>
		</Panel>
	);
}

function Progress({ audit: { status, total, checked, skipped } }: { audit: Audit }) {
	if (status !== "running") return null;
	const done = checked + skipped;
	return (
		<p>
			<progress
				aria-label="Progress of the audit"
				{...(total ? { max: Math.max(total, done), value: done } : {})}
			/>{" "}
			{total === null
				? "Counting the orders …"
				: `${formatNumber(done)} of ${formatNumber(total)} orders`}
		</p>
	);
}

function Violations({ audit: { status, violations, violation_count } }: { audit: Audit }) {
	return (
		<Panel title={`Violations: ${formatNumber(violation_count)}`}>
			<Table
				label="Violations"
				rows={violations.map((violation, i) => ({ ...violation, i }))}
				columns={columns}
				keyOf={({ i }) => String(i)}
				empty={status === "completed" ? "All records fit together." : "No violation so far."}
			/>
			{violation_count > violations.length && (
				<p class="hint">{`The first ${formatNumber(violations.length)} are shown.`}</p>
			)}
		</Panel>
	);
}

function Subject({ of: { invariant, subject } }: { of: Violation }) {
	const page = pageOfViolation(invariant, subject);
	return page ? (
		<Link to={page}>
			{page.startsWith("/orders") ? "Order" : "Product"} <ShortId id={subject} />
		</Link>
	) : (
		<code>{subject}</code>
	);
}
