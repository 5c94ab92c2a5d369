import { startPoller } from "../../lib/async/poller.ts";
import type { ServiceThis } from "../../lib/contracts/contract.ts";
import { matches } from "../../lib/contracts/event.ts";
import { deleteProcessedEvents } from "../../lib/messaging/inbox.ts";
import { pruneOutbox } from "../../lib/messaging/outbox.ts";
import { removeObsoleteCheckpoints } from "../../lib/messaging/outbox-checkpoints.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { HasDatabase } from "../database.mixin.ts";

type Self = ServiceThis & HasDatabase;

const PRUNE_EVERY = 60_000;
/** An inbox remembers an event longer than the stream keeps it. */
const MARGIN_HOURS = 24;

/**
 * Removes old events from a service's outbox and old receipts from its inbox, and readers that are obsolete.
 * @param patterns of the events that the service consumes
 * @returns what ends it
 */
export function startPruning(
	self: Self,
	patterns: readonly string[],
	withStream: boolean,
): () => Promise<void> {
	const { broker, db, logger } = self;
	const hours = envOf(broker).EVENT_RETENTION_HOURS;
	return startPoller({
		intervalMs: PRUNE_EVERY,
		async poll() {
			const retired = await removeObsoleteCheckpoints(db, withStream);
			if (retired.length > 0)
				logger.info("Removed readers of the outbox that are no longer used", { readers: retired });
			const more = await pruneOutbox(db, hours);
			const oldest = patterns.length > 0 ? await oldestRetainedEvent(self, patterns) : undefined;
			return (
				(oldest !== undefined && (await deleteProcessedEvents(db, hours + MARGIN_HOURS, oldest))) ||
				more
			);
		},
		onError: (error) => logger.warn("Old events could not be removed", { error }),
	}).stop;
}

/**
 * When the oldest event was written that any producer of these events still holds; null if none holds any. Undefined while that is not known, because a
 * producer is missing, does not answer, or is of a version without this action: the inbox then forgets nothing.
 */
export async function oldestRetainedEvent(
	{ broker }: Pick<Self, "broker">,
	patterns: readonly string[],
): Promise<string | null | undefined> {
	const services = broker.registry.getServiceList({}) as {
		name: string;
		metadata?: { events?: object };
	}[];
	const producersOf = (pattern: string) =>
		services
			.filter(({ metadata }) =>
				Object.keys(metadata?.events ?? {}).some((type) => matches(pattern, type)),
			)
			.map(({ name }) => name);
	const producers = patterns.map(producersOf);
	if (producers.some(({ length }) => length === 0)) return undefined;
	try {
		const names = [...new Set(producers.flat())];
		const held = await Promise.all(
			names.map((name) => broker.call<{ time: string | null }, object>(`${name}.oldestEvent`, {})),
		);
		const times = held.flatMap(({ time }) => (time === null ? [] : [Date.parse(time)]));
		return times.length > 0 ? new Date(Math.min(...times)).toISOString() : null;
	} catch (error) {
		if (isOutage(error)) return undefined;
		throw error;
	}
}
