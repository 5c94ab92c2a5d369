import type { ResultOf } from "../../../../clients/typescript/src/index.ts";

export type Nodes = ResultOf<"operations.nodes">;
export type Node = Nodes["nodes"][number];

/** Counters of calls or requests since the start of a node. */
export interface Counters {
	readonly total: number;
	readonly failed: number;
	/** Sum of all durations. */
	readonly seconds: number;
	/** Durations per bucket; the last bucket is above all bounds. */
	readonly buckets: readonly number[];
}
/** Traffic of a period. */
export interface Traffic {
	readonly perSecond: number;
	/** Share of failures; null without traffic, as the durations. */
	readonly failed: number | null;
	readonly mean: number | null;
	readonly p95: number | null;
}

const httpCounters = ({ http }: Node): Counters | undefined =>
	http ? { ...http, total: http.requests } : undefined;

const callCounters = ({ ok, refused, ...counters }: Node["calls"][number]): Counters => ({
	...counters,
	total: ok + refused + counters.failed,
});

function sum(all: readonly Counters[]): Counters {
	const buckets: number[] = [];
	let [total, failed, seconds] = [0, 0, 0];
	for (const counters of all) {
		total += counters.total;
		failed += counters.failed;
		seconds += counters.seconds;
		for (const [i, count] of counters.buckets.entries()) buckets[i] = (buckets[i] ?? 0) + count;
	}
	return { total, failed, seconds, buckets };
}

/** Counters of the period between two snapshots of one process. */
const difference = (now: Counters, before: Counters): Counters => ({
	total: now.total - before.total,
	failed: now.failed - before.failed,
	seconds: now.seconds - before.seconds,
	buckets: now.buckets.map((count, i) => count - (before.buckets[i] ?? 0)),
});

/**
 * @param period length in seconds
 * @param bounds upper bounds of the buckets in seconds
 */
export function trafficOf(counters: Counters, period: number, bounds: readonly number[]): Traffic {
	const { total, failed, seconds, buckets } = counters;
	if (total <= 0 || period <= 0) return { perSecond: 0, failed: null, mean: null, p95: null };
	return {
		perSecond: total / period,
		failed: failed / total,
		mean: seconds / total,
		p95: percentile(buckets, 0.95, bounds),
	};
}

/** A percentile of the durations, interpolated within its bucket; the last bound at most. */
function percentile(buckets: readonly number[], share: number, bounds: readonly number[]) {
	const total = buckets.reduce((all, count) => all + count, 0);
	if (total === 0) return null;
	let below = 0;
	for (const [i, count] of buckets.entries()) {
		const rank = share * total - below;
		if (count > 0 && rank <= count) {
			const lower = bounds[i - 1] ?? 0;
			const upper = bounds[i] ?? lower;
			return lower + ((upper - lower) * rank) / count;
		}
		below += count;
	}
	return bounds.at(-1) ?? null;
}

/** A node with its traffic since an earlier snapshot. */
export interface ActiveNode extends Node {
	/** Length of the period in seconds. */
	readonly period: number;
	/** Traffic of all services of the node. */
	readonly traffic: Traffic;
	readonly http_counters: Counters | undefined;
	/** Counters of the period, by service. */
	readonly by_service: Readonly<Record<string, Counters>>;
	/** Share of one processor; null if it is unknown. */
	readonly cpu: number | null;
}

/**
 * Compares two snapshots of the cluster. A node that the earlier one does not contain is compared
 * with its start.
 */
export function compare(now: Nodes, before: Nodes | undefined): ActiveNode[] {
	return now.nodes.map((node) => {
		const earlier = before?.nodes.find(
			({ id, started_at }) =>
				id === node.id && started_at !== null && started_at === node.started_at,
		);
		const since = earlier ? before!.time : (node.started_at ?? now.time);
		const period = (Date.parse(now.time) - Date.parse(since)) / 1000;
		const by_service = Object.fromEntries(
			node.calls.map((calls) => {
				const past = earlier?.calls.find(({ service }) => service === calls.service);
				const counters = callCounters(calls);
				return [calls.service, past ? difference(counters, callCounters(past)) : counters];
			}),
		);
		const http = httpCounters(node);
		const pastHttp = earlier && httpCounters(earlier);
		return {
			...node,
			period,
			by_service,
			traffic: trafficOf(sum(Object.values(by_service)), period, now.bucket_bounds),
			http_counters: http && pastHttp ? difference(http, pastHttp) : http,
			cpu:
				node.cpu_seconds === null || period <= 0
					? null
					: (node.cpu_seconds - (earlier?.cpu_seconds ?? 0)) / period,
		};
	});
}

/** Traffic of a service on all its nodes. */
export interface ActiveService {
	readonly service: string;
	readonly nodes: number;
	readonly traffic: Traffic;
}

/** Services of the cluster by name. */
export function servicesOf(
	nodes: readonly ActiveNode[],
	bounds: readonly number[],
): ActiveService[] {
	const names = [...new Set(nodes.flatMap(({ services }) => services))].sort();
	return names.map((service) => {
		const running = nodes.filter(({ services }) => services.includes(service));
		return {
			service,
			nodes: running.length,
			traffic: total(
				running.flatMap(({ by_service, period }) => {
					const counters = by_service[service];
					return counters ? [{ counters, period }] : [];
				}),
				bounds,
			),
		};
	});
}

/** Traffic of all gateways. */
export const httpTraffic = (nodes: readonly ActiveNode[], bounds: readonly number[]): Traffic =>
	total(
		nodes.flatMap(({ http_counters, period }) =>
			http_counters ? [{ counters: http_counters, period }] : [],
		),
		bounds,
	);

/** Sum of the traffic of several nodes, whose periods may differ. */
function total(
	parts: readonly { readonly counters: Counters; readonly period: number }[],
	bounds: readonly number[],
): Traffic {
	const rates = parts.map(({ counters, period }) => (period > 0 ? counters.total / period : 0));
	const all = trafficOf(sum(parts.map(({ counters }) => counters)), 1, bounds);
	return { ...all, perSecond: rates.reduce((a, b) => a + b, 0) };
}
