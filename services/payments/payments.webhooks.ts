import { throwError } from "../../lib/contracts/contract.ts";
import { isUuid } from "../../lib/persistence/id.ts";
import { payments } from "./payments.contract.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import type { createLookups } from "./payments.lookups.ts";
import { CLAIM_LIMIT, columns } from "./payments.statements.ts";
import {
	CLAIM_EVENTS,
	MARK_PROCESSED,
	PRUNE_EVENTS,
	PRUNE_LIMIT,
	STORE_EVENTS,
} from "./payments.webhooks.statements.ts";
import type { Headers, WebhookEvent } from "./providers/provider.ts";

/**
 * Receives webhooks. A webhook only says that a payment changed: its event is stored, and a
 * consumer looks the payment up. Webhooks may therefore be repeated, delayed, reordered and lost.
 */
export function createWebhooks(
	{ db, provider }: Pick<Dependencies, "db" | "provider">,
	{ lookUp }: Pick<ReturnType<typeof createLookups>, "lookUp">,
) {
	/**
	 * Verifies a webhook and stores its event.
	 * @returns whether the event is new
	 * @throws PROVIDER_NOT_FOUND, INVALID_SIGNATURE, MALFORMED_BODY
	 */
	async function receive(name: string, body: Buffer, headers: Headers): Promise<boolean> {
		if (name !== provider.name || !provider.verifyWebhook)
			return throwError(payments, "PROVIDER_NOT_FOUND");
		return store([await provider.verifyWebhook(body, headers)]);
	}

	/** Stores events once each. @returns whether one of them is new */
	async function store(events: readonly WebhookEvent[]): Promise<boolean> {
		const rows = events.map(({ key, ...event }) => ({
			...event,
			order_id: key !== null && isUuid(key) ? key : null,
		}));
		const values = columns(rows, ["id", "type", "order_id"]);
		return (await db.query(STORE_EVENTS, [provider.name, ...values])).length > 0;
	}

	/**
	 * Stores the provider's recent events, in case all webhooks of one were lost.
	 * @returns whether one of them is new
	 */
	async function catchUp(): Promise<boolean> {
		const events = (await provider.recentEvents?.()) ?? [];
		return events.length > 0 && store(events);
	}

	/**
	 * Processes stored events.
	 * @returns whether more events may be due
	 */
	async function consume(): Promise<boolean> {
		const events = await db.query<{ provider: string; event_id: string; order_id: string }>(
			CLAIM_EVENTS,
		);
		if (events.length === 0) return false;
		const failed = new Set(await lookUp([...new Set(events.map(({ order_id }) => order_id))]));
		const processed = events.filter(({ order_id }) => !failed.has(order_id));
		await db.query(MARK_PROCESSED, columns(processed, ["provider", "event_id"]));
		return events.length === CLAIM_LIMIT;
	}

	/** Deletes old events. @returns whether there may be more */
	async function prune(): Promise<boolean> {
		const [row] = await db.query<{ count: number }>(PRUNE_EVENTS);
		return row!.count === PRUNE_LIMIT;
	}

	return { receive, catchUp, consume, prune };
}
