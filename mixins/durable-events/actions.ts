import type { ServiceBroker } from "moleculer";
import { toActionSchema } from "../../lib/contracts/action-schema.ts";
import type { Ctx } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import { type Event, matches } from "../../lib/contracts/event.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { registeredServices } from "../../lib/contracts/registered-services.ts";
import {
	type DeadLetterFilter,
	deadLetters,
	eventStatistics,
	timeRange,
	toLikePattern,
} from "../../lib/messaging/dead-letters.ts";
import { assertSequence } from "../../lib/messaging/event-history.ts";
import { inProcessTransport } from "../../lib/messaging/event-transport.ts";
import { findRetries } from "../../lib/messaging/inbox.ts";
import { republish } from "../../lib/messaging/outbox.ts";
import {
	listCheckpoints,
	oldestEventTime,
	removeCheckpoint,
} from "../../lib/messaging/outbox-checkpoints.ts";
import { outboxPage } from "../../lib/messaging/outbox-pages.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type { DurableEventsState } from "./self.ts";

type Self = Pick<
	DurableEventsState,
	"$types" | "$patterns" | "$stream" | "$refill" | "$wakeRetries"
> & {
	readonly name: string;
	readonly broker: ServiceBroker;
	readonly db: Database;
};
type Handlers = {
	[K in keyof typeof eventActions]: (this: Self, ctx: Ctx<never>) => Promise<unknown>;
};
interface Replay {
	readonly since?: string;
	readonly until?: string;
	readonly type?: string;
	readonly group?: string;
}

/**
 * Actions for operators: dead letters and retries of the service's group, replay of its outbox, and
 * statistics.
 */
export function eventActionHandlers(): object {
	const handlers: Handlers = {
		async deadLetters({ params }: Ctx<DeadLetterFilter & { after?: string; limit: number }>) {
			const { after, limit, ...filter } = params;
			return deadLetters(this.db, this.name).list(filter, after, limit);
		},
		async deadLetter({ params }: Ctx<{ event_id: string }>) {
			return deadLetters(this.db, this.name).show(params.event_id);
		},
		async retryDeadLetters({ params }: Ctx<DeadLetterFilter>) {
			const count = await deadLetters(this.db, this.name).retry(params, this.$patterns);
			this.$wakeRetries();
			return { count };
		},
		async discardDeadLetters({ params }: Ctx<DeadLetterFilter>) {
			return { count: await deadLetters(this.db, this.name).discard(params) };
		},
		async replayEvents({ params }: Ctx<Replay>) {
			const [since, until] = timeRange(params);
			const types = typesToReplay(this.broker, this.$types, params);
			const count = await republish(this.db, `/${this.name}`, { since, until, types }, (events) =>
				redeliver(this, events, params.group),
			);
			return { count };
		},
		async outboxEvents({ params: { after, types } }: Ctx<{ after: string; types: string[] }>) {
			assertSequence("after", after);
			return outboxPage(this.db, `/${this.name}`, after, types);
		},
		async retries({ params }: Ctx<{ subject: string }>) {
			return findRetries(this.db, this.name, params.subject);
		},
		async oldestEvent() {
			return { time: await oldestEventTime(this.db) };
		},
		async eventCheckpoints() {
			return listCheckpoints(this.db);
		},
		async removeEventCheckpoint({ params }: Ctx<{ name: string }>) {
			return { count: await removeCheckpoint(this.db, params.name) };
		},
		async eventFigures() {
			const states = (await this.$stream?.states(this.name, this.$patterns)) ?? [];
			const pending = states.reduce((sum, { unacknowledged }) => sum + unacknowledged, 0);
			const unread_share = (await this.$refill?.unreadShare(states)) ?? 0;
			return { ...(await eventStatistics(this.db)), pending, unread_share };
		},
	};
	return Object.fromEntries(
		Object.entries(handlers).map(([name, handler]) => [
			name,
			toActionSchema(eventActions[name as keyof Handlers], handler),
		]),
	);
}

/** The event types that a replay covers. */
function typesToReplay(
	broker: ServiceBroker,
	types: readonly string[],
	{ type, group }: Replay,
): string[] {
	const like = toLikePattern(type);
	const selected = like === null ? [...types] : types.filter((one) => matches(type!, one));
	if (group === undefined) return selected;
	const service = registeredServices(broker).find(({ name }) => name === group);
	if (!service || service.subscriptions.length === 0)
		throw invalidField("group", "UNKNOWN", `No service named ${group} subscribes to events`);
	return selected.filter((one) => service.subscriptions.some((pattern) => matches(pattern, one)));
}

/** Delivers events again: to the stream, or to the consumer groups of this process. */
async function redeliver(
	{ broker, $stream }: Self,
	events: Event[],
	group: string | undefined,
): Promise<void> {
	if ($stream) return void (await $stream.publish(events, true));
	const groups = inProcessTransport(broker)
		.groups()
		.filter(({ name }) => group === undefined || name === group);
	for (const { patterns, deliver } of groups)
		await deliver(events.filter(({ type }) => patterns.some((pattern) => matches(pattern, type))));
}
