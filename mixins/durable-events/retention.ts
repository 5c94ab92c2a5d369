import { startPoller } from "../../lib/async/poller.ts";
import type { ServiceThis } from "../../lib/contracts/contract.ts";
import { matches } from "../../lib/contracts/event.ts";
import { registeredServices } from "../../lib/contracts/registered-services.ts";
import { deleteProcessedEvents } from "../../lib/messaging/inbox.ts";
import { pruneOutbox } from "../../lib/messaging/outbox.ts";
import { removeObsoleteCheckpoints } from "../../lib/messaging/outbox-checkpoints.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { HasDatabase } from "../database.mixin.ts";

type Self = ServiceThis & HasDatabase;

const PRUNE_INTERVAL_MS = 60_000;
/** Receipts in the inbox outlast the stream's retention. */
const MARGIN_HOURS = 24;

/**
 * Prunes old events of a service's outbox, old receipts of its inbox, and obsolete checkpoints.
 * @param patterns of the events that the service consumes
 * @returns a function that stops it
 */
export function startPruning(
	self: Self,
	patterns: readonly string[],
	withStream: boolean,
): () => Promise<void> {
	const { broker, db, logger } = self;
	const hours = envOf(broker).EVENT_RETENTION_HOURS;
	return startPoller({
		intervalMs: PRUNE_INTERVAL_MS,
		async poll() {
			const removed = await removeObsoleteCheckpoints(db, withStream);
			if (removed.length > 0)
				logger.info("Removed obsolete checkpoints of the outbox", { checkpoints: removed });
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
 * Time of the oldest event that any producer of these events retains; null if none has any.
 * Undefined if it is unknown because a producer is missing, does not respond, or is of a version
 * without this action: receipts are then kept.
 */
export async function oldestRetainedEvent(
	{ broker }: Pick<Self, "broker">,
	patterns: readonly string[],
): Promise<string | null | undefined> {
	const services = registeredServices(broker);
	const producersOf = (pattern: string) =>
		services
			.filter(({ events }) => Object.keys(events).some((type) => matches(pattern, type)))
			.map(({ name }) => name);
	const producers = patterns.map(producersOf);
	if (producers.some(({ length }) => length === 0)) return undefined;
	try {
		const names = [...new Set(producers.flat())];
		const oldestEvents = await Promise.all(
			names.map((name) => broker.call<{ time: string | null }, object>(`${name}.oldestEvent`, {})),
		);
		const times = oldestEvents.flatMap(({ time }) => (time === null ? [] : [Date.parse(time)]));
		return times.length > 0 ? new Date(Math.min(...times)).toISOString() : null;
	} catch (error) {
		if (isOutage(error)) return undefined;
		throw error;
	}
}
