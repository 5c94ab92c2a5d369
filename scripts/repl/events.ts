import type { DeadLetter } from "../../lib/messaging/dead-letters.ts";
import type { Checkpoint } from "../../lib/messaging/outbox-checkpoints.ts";
import type { Cluster } from "./cluster.ts";
import { type Command, defineCommand } from "./command.ts";
import { json, type Output, table } from "./output.ts";

interface EventFigures {
	readonly backlog: number;
	readonly lag_seconds: number;
	readonly retries: number;
	readonly dead_letters: number;
	readonly pending: number;
}
type FromService<T> = T & { readonly service: string };

const PAGE = 1000;
const FILTER = ["service", "type", "since", "until"];
const EXAMPLE_ID = "019a0000-0000-7000-8000-000000000001";

/** Calls an action of several services. Omits those that have no such dead letter. */
async function callEach<R>(
	cluster: Cluster,
	services: readonly string[],
	action: string,
	params: object,
): Promise<{ service: string; result: R }[]> {
	const results = await Promise.all(
		services.map(async (service) => {
			try {
				const result = await cluster.callAny<R>(`${service}.${action}`, params);
				return [{ service, result }];
			} catch (error) {
				if ((error as { type?: string }).type === "DEAD_LETTER_NOT_FOUND") return [];
				throw error;
			}
		}),
	);
	return results.flat();
}

/** All dead letters of a service, read page by page. */
async function readDeadLetters(
	cluster: Cluster,
	service: string,
	filter: object,
): Promise<FromService<DeadLetter>[]> {
	const letters: DeadLetter[] = [];
	for (;;) {
		const after = letters.at(-1)?.event_id;
		const page = await cluster.callAny<DeadLetter[]>(`${service}.deadLetters`, {
			...filter,
			limit: PAGE,
			...(after ? { after } : {}),
		});
		letters.push(...page);
		if (page.length < PAGE) return letters.map((letter) => ({ service, ...letter }));
	}
}

type Counts = { service: string; result: { count: number } }[];
const describeCounts = (counts: Counts, verb: string): Output => ({
	value: counts.map(({ service, result: { count } }) => ({ service, count })),
	text: counts.map(({ service, result: { count } }) => `${service}: ${count} ${verb}`).join("\n"),
});

/** A command that changes one dead letter by its id, or all that match a filter. */
const changeDeadLetters = (
	name: "retry" | "discard",
	summary: string,
	action: string,
	done: string,
): Command =>
	defineCommand({
		summary,
		arguments: ["[ID]"],
		options: FILTER,
		examples: [`dlq ${name} ${EXAMPLE_ID}`, `dlq ${name} --service shipping --type 'order.*'`],
		async run(cluster, { service, ...filter }, [id]) {
			const params = { ...filter, ...(id ? { event_id: id } : {}) };
			const services = cluster.servicesWith(action, service);
			const results: Counts = await callEach(cluster, services, action, params);
			const changed = results.filter(({ result: { count } }) => count > 0);
			if (changed.length === 0) throw new Error("No dead letter matches these options");
			return describeCounts(changed, done);
		},
	});

/** Commands about dead letters, replays and the backlog, across all available services. */
export const eventCommands: Readonly<Record<string, Command>> = {
	"dlq ls": defineCommand({
		summary: "List dead letters: events that failed their last attempt",
		options: FILTER,
		examples: ["dlq ls", "dlq ls --type 'order.*' --since 2026-01-31T12:00:00Z"],
		async run(cluster, { service, ...filter }) {
			const services = cluster.servicesWith("deadLetters", service);
			const found = await Promise.all(
				services.map((name) => readDeadLetters(cluster, name, filter)),
			);
			return table(
				found.flat(),
				["SERVICE", "EVENT", "TYPE", "SUBJECT", "ATTEMPTS", "SINCE", "ERROR"],
				(letter) => [
					letter.service,
					letter.event_id,
					letter.type,
					letter.subject,
					letter.attempts,
					letter.dead_at,
					letter.error,
				],
				"No dead letters",
			);
		},
	}),
	"dlq show": defineCommand({
		summary: "Show a dead letter with its event and all its errors",
		arguments: ["ID"],
		options: ["service"],
		examples: [`dlq show ${EXAMPLE_ID}`],
		async run(cluster, { service }, [event_id]) {
			const services = cluster.servicesWith("deadLetter", service);
			const found = await callEach<object>(cluster, services, "deadLetter", { event_id });
			if (found.length === 0) throw new Error("Dead letter not found");
			return {
				value: found.map(({ service, result }) => ({ service, ...result })),
				text: found.map(({ service, result }) => `${service}: ${json(result)}`).join("\n"),
			};
		},
	}),
	"dlq retry": changeDeadLetters(
		"retry",
		"Retry a dead letter, or all that match",
		"retryDeadLetters",
		"scheduled for retry",
	),
	"dlq discard": changeDeadLetters(
		"discard",
		"Delete a dead letter, or all that match",
		"discardDeadLetters",
		"discarded",
	),
	"events replay": defineCommand({
		summary: "Publish the outbox's events again; consumers skip those that they have processed",
		options: ["service", "type", "since", "until", "group"],
		examples: ["events replay --group notifications --since 2026-01-31T12:00:00Z"],
		async run(cluster, { service, ...params }) {
			const services = cluster.servicesWith("replayEvents", service);
			return describeCounts(
				await callEach(cluster, services, "replayEvents", params),
				"published again",
			);
		},
	}),
	"events checkpoints": defineCommand({
		summary: "List the checkpoints of the outboxes with their lag",
		options: ["service"],
		examples: ["events checkpoints --service orders"],
		async run(cluster, { service }) {
			const services = cluster.servicesWith("eventCheckpoints", service);
			const found = await callEach<Checkpoint[]>(cluster, services, "eventCheckpoints", {});
			return table(
				found.flatMap(({ service, result }) =>
					result.map((checkpoint) => ({ service, ...checkpoint })),
				),
				["SERVICE", "CHECKPOINT", "NODE", "LAG"],
				({ service, name, owner, lag_seconds }) => [
					service,
					name,
					owner ?? "-",
					seconds(lag_seconds),
				],
				"No checkpoints",
			);
		},
	}),
	"events remove-checkpoint": defineCommand({
		summary: "Remove an unused checkpoint, for which the outbox would otherwise keep its events",
		arguments: ["NAME"],
		options: ["service"],
		examples: ["events remove-checkpoint warehouse"],
		async run(cluster, { service }, [name]) {
			const services = cluster.servicesWith("removeEventCheckpoint", service);
			const results: Counts = await callEach(cluster, services, "removeEventCheckpoint", { name });
			const removed = results.filter(({ result: { count } }) => count > 0);
			if (removed.length === 0)
				throw new Error(`There is no checkpoint named ${name}, or a node still uses it`);
			return {
				value: removed.map(({ service }) => ({ service, name })),
				text: removed.map(({ service }) => `${service}: removed ${name}`).join("\n"),
			};
		},
	}),
	"events status": defineCommand({
		summary: "Show backlog, lag, retries and dead letters of each service",
		options: ["service"],
		examples: ["events status"],
		async run(cluster, { service }) {
			const services = cluster.servicesWith("eventFigures", service);
			const found = await callEach<EventFigures>(cluster, services, "eventFigures", {});
			return table(
				found.map(({ service, result }): FromService<EventFigures> => ({ service, ...result })),
				["SERVICE", "BACKLOG", "LAG", "PENDING", "RETRIES", "DEAD"],
				(figures) => [
					figures.service,
					figures.backlog,
					seconds(figures.lag_seconds),
					figures.pending,
					figures.retries,
					figures.dead_letters,
				],
				"No service with events is available",
			);
		},
	}),
};

const seconds = (value: number): string => `${value.toFixed(1)} s`;
