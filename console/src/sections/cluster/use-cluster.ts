import { useRef } from "preact/hooks";
import { reads } from "../../api.ts";
import { type Resource, useData } from "../../data.ts";
import { type ActiveNode, compare, type Nodes } from "./traffic.rules.ts";

/** Period of the rates in milliseconds: several polls, so that they are steady. */
const PERIOD_MS = 10_000;

interface Cluster {
	readonly nodes: readonly ActiveNode[];
	readonly bounds: readonly number[];
}

/** The nodes of the cluster with their traffic of the last seconds. @param poll in milliseconds */
export function useCluster(poll: number): Resource<Cluster> {
	const snapshots = useRef<Nodes[]>([]);
	return useData(
		async (signal) => {
			const now = await reads.operations.nodes({}, { signal });
			const oldest = Date.parse(now.time) - PERIOD_MS;
			const [before] = snapshots.current;
			snapshots.current = [
				...snapshots.current.filter(({ time }) => Date.parse(time) >= oldest),
				now,
			];
			return { nodes: compare(now, before), bounds: now.bucket_bounds };
		},
		[],
		{ poll },
	);
}
