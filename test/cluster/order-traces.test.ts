import { startCluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { orderTraces } from "../support/order-traces.ts";
import { describeWith } from "../support/servers.ts";

describeWith(["nats-server", "redis-server"], "in several processes", () => {
	orderTraces(async () => {
		const cluster = await startCluster({ services: domains, env: { RATE_LIMIT_ENABLED: "false" } });
		try {
			await Promise.all([
				cluster.start("fulfilment", ["payments", "shipping", "notifications"]),
				cluster.start("others", ["auth", "users", "products", "inventory"]),
				cluster.start("orders", ["orders"]),
			]);
			await cluster.start("gateway", ["api"]);
			return cluster;
		} catch (error) {
			await cluster.stop();
			throw error;
		}
	}, 90);
});
