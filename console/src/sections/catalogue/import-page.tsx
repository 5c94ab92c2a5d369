import { useState } from "preact/hooks";
import { Form, SelectField } from "../../components/form.tsx";
import { Page, Panel } from "../../components/page.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Badge, Link } from "../../components/values.tsx";
import { formatNumber, formatRate, formatSeconds } from "../../format.ts";
import { type Format, formatOf } from "./import-file.ts";
import {
	cancelImport,
	type ImportRun,
	importRun,
	rowsPerSecond,
	startImport,
} from "./import-run.ts";

const FORMATS = { csv: "CSV", ndjson: "NDJSON" };

/** Imports products from a file and shows the progress. */
export function ImportPage() {
	const run = importRun.value;
	const isRunning = run?.status === "preparing" || run?.status === "running";
	return (
		<Page title="Import products">
			{!isRunning && <FileForm />}
			{run && <Progress run={run} isRunning={isRunning} />}
		</Page>
	);
}

function FileForm() {
	const [file, setFile] = useState<File>();
	const submit = async (values: FormData) => {
		if (file) void startImport(file, values.get("format") as Format);
	};
	return (
		<Panel title="File">
			<p>
				Rows are created or updated by their SKU. Products that the file does not contain remain. An
				export is an example of a file.
			</p>
			<Form action="Import" submit={submit}>
				<div class="field">
					<label for="import-file">CSV or NDJSON file, also compressed (.gz)</label>
					<input
						id="import-file"
						type="file"
						accept=".csv,.ndjson,.jsonl,.gz"
						required
						onChange={({ currentTarget }) => setFile(currentTarget.files?.[0])}
					/>
				</div>
				<SelectField
					// The name of another file selects its format.
					key={file?.name}
					label="Format"
					name="format"
					value={formatOf(file?.name ?? "") ?? "csv"}
					choices={FORMATS}
				/>
			</Form>
		</Panel>
	);
}

const STATUSES = {
	preparing: ["Reading the file", "warn"],
	running: ["Importing", "warn"],
	completed: ["Completed", "good"],
	failed: ["Failed", "bad"],
	cancelled: ["Cancelled", "neutral"],
} as const;

function Progress({ run, isRunning }: { run: ImportRun; isRunning: boolean }) {
	const { file, status, total, rows, startedAt, updatedAt, summary, message } = run;
	const [label, tone] = STATUSES[status];
	const rate = rowsPerSecond(run);
	return (
		<Panel
			title={file}
			actions={
				isRunning && (
					<button type="button" class="danger" onClick={cancelImport}>
						Cancel
					</button>
				)
			}
		>
			<p role="status">
				<Badge tone={tone}>{label}</Badge> {formatNumber(rows)}
				{total !== undefined && ` of ${formatNumber(total)}`} rows
				{rate !== undefined &&
					`, ${formatRate(rate)}, ${formatSeconds((updatedAt - startedAt) / 1000)}`}
			</p>
			{isRunning && (
				<progress
					aria-label="Imported rows"
					{...(total ? { max: total, value: Math.min(rows, total) } : {})}
				/>
			)}
			{status === "cancelled" && (
				<p>
					The shop stops after the rows that it has already received. The imported rows remain. Send
					the file again to continue.
				</p>
			)}
			{message && (
				<p class="problem" role="alert">
					{message} The imported rows remain. Send the file again to continue.
				</p>
			)}
			{summary && <Summary summary={summary} />}
			{status === "completed" && <Link to="/products">Open the catalogue</Link>}
		</Panel>
	);
}

type Summary = NonNullable<ImportRun["summary"]>;
type RowError = Summary["errors"][number];
const columns: readonly Column<RowError>[] = [
	{ title: "Row", align: "end", cell: ({ row }) => row },
	{ title: "SKU", cell: ({ sku }) => sku },
	{ title: "Field", cell: ({ field }) => field },
	{ title: "Message", cell: ({ message }) => message },
];

function Summary({ summary }: { summary: Summary }) {
	const { errors, failed } = summary;
	return (
		<>
			<dl class="figures">
				{(["Created", "Updated", "Unchanged", "Failed"] as const).map((label) => (
					<div key={label}>
						<dt>{label}</dt>
						<dd>{formatNumber(summary[label.toLowerCase() as Lowercase<typeof label>])}</dd>
					</div>
				))}
			</dl>
			{failed > 0 && (
				<>
					<p class="hint">
						{failed > errors.length
							? `The first ${formatNumber(errors.length)} errors:`
							: "Errors of rows:"}
					</p>
					<Table
						label="Errors"
						rows={errors}
						columns={columns}
						keyOf={({ row, field }) => `${row} ${field}`}
					/>
				</>
			)}
		</>
	);
}
