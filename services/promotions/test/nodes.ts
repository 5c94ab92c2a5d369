import { cacheOf } from "../../../lib/caching/lease-cache.ts";
import type { Outcome } from "../../../lib/contracts/outcome.ts";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import type { HasDurableEvents } from "../../../mixins/durable-events.mixin.ts";
import type { Shop } from "../../../test/support/shop.ts";
import { createRedemptions } from "../promotions.redemptions.ts";
import type { Order } from "./commands.ts";

/** Nodes of the promotions service, each with its own connections to the database of a shop. */
export function startNodes({ broker, databases }: Shop, count: number) {
	const { eventData, wakeRelay } = broker.getLocalService(
		"promotions",
	) as unknown as HasDurableEvents;
	const url = databaseUrl(databases.pattern, "promotions");
	const rows = cacheOf(broker).of<never>("promotions", 60_000);
	const nodes = Array.from({ length: count }, () => {
		const db = new Database({ url, poolSize: 5 });
		return { db, ...createRedemptions({ db, eventData, wakeRelay, rows, seconds: 900 }) };
	});
	let calls = 0;
	const next = () => nodes[calls++ % count]!;
	return {
		/** Redeems a batch on the next node. */
		redeem: (...orders: Order[]): Promise<Outcome[]> => next().redeem(orders),
		/** Releases a batch on the next node. */
		release: (...orders: Order[]): Promise<Outcome[]> => next().release(orders),
		stop: () => Promise.all(nodes.map(({ db }) => db.close())),
	};
}
