import { signal } from "@preact/signals";
import { isProblem, type UploadSummary } from "../../../../clients/typescript/src/index.ts";
import { messageOf, shop } from "../../api.ts";
import { type Format, rowCounter } from "./import-file.ts";

type Summary = Omit<UploadSummary<"sku">, "done">;
/** An import of a file. */
export interface ImportRun {
	readonly file: string;
	readonly status: "preparing" | "running" | "completed" | "failed" | "cancelled";
	/** Rows in the file; undefined if they were not counted. */
	readonly total: number | undefined;
	/** Rows that have been processed. */
	readonly rows: number;
	/** Time of the first and of the last progress in milliseconds. */
	readonly startedAt: number;
	readonly updatedAt: number;
	/** Counts, and errors of rows. */
	readonly summary?: Summary;
	/** Reason of the failure. */
	readonly message?: string;
}

/** The current or last import, which continues while other pages are open. */
export const importRun = signal<ImportRun | undefined>(undefined);
let running: AbortController | undefined;

const update = (change: Partial<ImportRun>) => {
	if (importRun.value) importRun.value = { ...importRun.value, ...change, updatedAt: Date.now() };
};
const warn = (event: BeforeUnloadEvent) => event.preventDefault();

/** Rows that an import is processing per second; undefined before the first ones. */
export const rowsPerSecond = ({ rows, startedAt, updatedAt }: ImportRun): number | undefined =>
	rows > 0 && updatedAt > startedAt ? (rows * 1000) / (updatedAt - startedAt) : undefined;

/** Stops the import. The shop applies the rows that it has received, and imported rows remain. */
export const cancelImport = (): void => running?.abort();

/** Imports a file, unless an import is running. */
export async function startImport(file: File, format: Format): Promise<void> {
	if (running) return;
	running = new AbortController();
	const now = Date.now();
	importRun.value = {
		file: file.name,
		status: "preparing",
		total: undefined,
		rows: 0,
		startedAt: now,
		updatedAt: now,
	};
	addEventListener("beforeunload", warn);
	try {
		await send(file, format, running.signal);
	} catch (error) {
		if (running.signal.aborted) update({ status: "cancelled" });
		else update({ status: "failed", ...failureOf(error) });
	} finally {
		running = undefined;
		removeEventListener("beforeunload", warn);
	}
}

async function send(file: File, format: Format, signal: AbortSignal): Promise<void> {
	const { body, total } = await compressed(file, format);
	signal.throwIfAborted();
	update({ status: "running", total, startedAt: Date.now() });
	for await (const line of shop.products.importRows(body, { format, encoding: "gzip", signal })) {
		if (!("done" in line)) update({ rows: line.rows });
		else
			update({
				status: "completed",
				rows: line.created + line.updated + line.unchanged + line.failed,
				summary: line,
			});
	}
}

/**
 * Compresses a file and counts its rows. Browsers deliver a response only after the whole request
 * was sent, and the shop receives no faster than it imports: of a compressed file, the buffers of
 * the connection accept many rows at once, so that their progress appears.
 */
async function compressed(file: File, format: Format) {
	if (/\.gz$/i.test(file.name)) return { body: file, total: undefined };
	const counter = rowCounter(format);
	const body = await new Response(
		file.stream().pipeThrough(counter.stream).pipeThrough(new CompressionStream("gzip")),
	).blob();
	return { body, total: counter.count() };
}

/** Reason of a failure, with the counts of an import that the shop has stopped. */
function failureOf(error: unknown): Partial<ImportRun> {
	const message = messageOf(error);
	if (!isProblem(error)) return { message };
	const { data, errors } = error;
	// Without counts, the errors are about the header.
	if (typeof data.created !== "number")
		return { message: [message, ...errors.map((one) => `${one.message}.`)].join(" ") };
	return { message, summary: { ...data, errors } as unknown as Summary };
}
