import { microBatch } from "../async/micro-batch.ts";
import type { Lookup } from "./cached-lookups.ts";
import { lookUpDistinct } from "./distinct-lookup.ts";

/** Concurrent batches, so that a slow lookup does not delay the others. */
const CONCURRENCY = 4;
/** IDs of a batch. */
const MAX_IDS = 10_000;

/**
 * Combines concurrent lookups into one, which contains each ID once: a call for one row costs
 * nearly as much as a call for a hundred.
 */
export function batchedLookup<Row>(load: Lookup<Row>): Lookup<Row> {
	return microBatch<string[], readonly (Row | null)[]>(
		async (batch) => {
			const rowOf = await lookUpDistinct(batch.flat(), load);
			return batch.map((own) => own.map((id) => rowOf.get(id) ?? null));
		},
		{ concurrency: CONCURRENCY, maxSize: MAX_IDS, sizeOf: ({ length }) => length },
	);
}
