import type { DeadLetter as Letter } from "../../lib/messaging/dead-letters.ts";
import { type Cluster, columns, json } from "./cluster.ts";
import type { Command } from "./commands.ts";

interface Figures {
	readonly backlog: number;
	readonly lag_seconds: number;
	readonly retries: number;
	readonly dead_letters: number;
	readonly pending: number;
}
interface Reader {
	readonly name: string;
	readonly owner: string | null;
	readonly lag_seconds: number;
}
const PAGE = 1000;

/** Of services that have the same event as a dead letter, each has its own. */
async function each<R>(
	cluster: Cluster,
	services: readonly string[],
	action: string,
	params: object,
): Promise<[string, R][]> {
	const answers = await Promise.all(
		services.map((service) =>
			cluster.ask<R>(`${service}.${action}`, params).then(
				(answer) => [[service, answer] as [string, R]],
				(error) => {
					if (error.type === "DEAD_LETTER_NOT_FOUND") return [];
					throw error;
				},
			),
		),
	);
	return answers.flat();
}

async function all(cluster: Cluster, service: string, filter: object): Promise<Letter[]> {
	const letters: Letter[] = [];
	for (;;) {
		const after = letters.at(-1)?.event_id;
		const page = await cluster.ask<Letter[]>(`${service}.deadLetters`, {
			...filter,
			limit: PAGE,
			...(after ? { after } : {}),
		});
		letters.push(...page);
		if (page.length < PAGE) return letters;
	}
}

/** One by its id, or all that fit a filter. */
const decide =
	(action: string, done: string): Command["run"] =>
	async (cluster, { service, ...filter }, [id]) => {
		const params = { ...filter, ...(id ? { event_id: id } : {}) };
		const found = await each<{ count: number }>(
			cluster,
			cluster.having(action, service),
			action,
			params,
		);
		const counts = found.filter(([, { count }]) => count > 0);
		if (counts.length === 0) throw new Error("There is no such dead letter");
		return counts.map(([name, { count }]) => `${name}: ${count} ${done}`).join("\n");
	};
const FILTER = ["service", "type", "since", "until"];

/** Dead letters, replays and figures, of all services that there are. */
export const eventCommands: Record<string, Command> = {
	"dlq ls": {
		about: "Events that their handlers could not take",
		options: FILTER,
		async run(cluster, { service, ...filter }) {
			const services = cluster.having("deadLetters", service);
			const found = await Promise.all(
				services.map(async (name) =>
					(await all(cluster, name, filter)).map((letter) => ({ name, ...letter })),
				),
			);
			const rows = found
				.flat()
				.map(({ name, event_id, type, subject, attempts, dead_at, error }) => [
					name,
					event_id,
					type,
					subject,
					attempts,
					dead_at,
					error,
				]);
			if (rows.length === 0) return "No dead letters";
			return columns([["SERVICE", "EVENT", "TYPE", "SUBJECT", "TRIES", "SINCE", "ERROR"], ...rows]);
		},
	},
	"dlq show": {
		about: "One of them, with its event and all its errors",
		words: ["ID"],
		options: ["service"],
		async run(cluster, { service }, [event_id]) {
			const found = await each<object>(
				cluster,
				cluster.having("deadLetter", service),
				"deadLetter",
				{ event_id },
			);
			if (found.length === 0) throw new Error("There is no such dead letter");
			return found.map(([name, letter]) => `${name}: ${json(letter)}`).join("\n");
		},
	},
	"dlq retry": {
		about: "Try one again, or all that fit",
		words: ["[ID]"],
		options: FILTER,
		run: decide("retryDeadLetters", "will be tried again"),
	},
	"dlq discard": {
		about: "Give one up for good, or all that fit",
		words: ["[ID]"],
		options: FILTER,
		run: decide("discardDeadLetters", "discarded"),
	},
	"events replay": {
		about: "Tell again what the outboxes hold; who did it already does nothing",
		options: ["service", "type", "since", "until", "group"],
		async run(cluster, { service, ...params }) {
			const services = cluster.having("replayEvents", service);
			const told = await each<{ count: number }>(cluster, services, "replayEvents", params);
			return told.map(([name, { count }]) => `${name}: ${count} told again`).join("\n");
		},
	},
	"events readers": {
		about: "Readers of the outboxes, and how far each is behind",
		options: ["service"],
		async run(cluster, { service }) {
			const found = await each<Reader[]>(
				cluster,
				cluster.having("eventReaders", service),
				"eventReaders",
				{},
			);
			const rows = found.flatMap(([name, readers]) =>
				readers.map((reader) => [
					name,
					reader.name,
					reader.owner ?? "-",
					`${reader.lag_seconds.toFixed(1)} s`,
				]),
			);
			return columns([["SERVICE", "READER", "NODE", "LAG"], ...rows]);
		},
	},
	"events remove-reader": {
		about: "Remove a reader that is no longer used; the outbox keeps events for it until then",
		words: ["NAME"],
		options: ["service"],
		async run(cluster, { service }, [name]) {
			const services = cluster.having("removeEventReader", service);
			const found = await each<{ count: number }>(cluster, services, "removeEventReader", { name });
			const removed = found
				.filter(([, { count }]) => count > 0)
				.map(([from]) => `${from}: removed ${name}`);
			if (removed.length === 0)
				throw new Error("There is no such reader, or a node still reads for it");
			return removed.join("\n");
		},
	},
	"events status": {
		about: "How far events are behind",
		options: ["service"],
		async run(cluster, { service }) {
			const found = await each<Figures>(
				cluster,
				cluster.having("eventFigures", service),
				"eventFigures",
				{},
			);
			return columns([
				["SERVICE", "BACKLOG", "LAG", "PENDING", "RETRIES", "DEAD"],
				...found.map(([name, { backlog, lag_seconds, pending, retries, dead_letters }]) => {
					return [name, backlog, `${lag_seconds.toFixed(1)} s`, pending, retries, dead_letters];
				}),
			]);
		},
	},
};
