import { setTimeout as delay } from "node:timers/promises";
import type { Mixin, ServiceThis } from "../lib/contracts/contract.ts";
import { addProbe } from "../lib/health/probes.ts";
import { withoutLiterals } from "../lib/observability/logging/redact.ts";
import { catalogue } from "../lib/observability/metrics/catalogue.ts";
import { metricsOf } from "../lib/observability/metrics/registry.ts";
import { tracingOf } from "../lib/observability/tracing/tracing.ts";
import { Database, databaseUrl } from "../lib/persistence/database.ts";
import { isOutage } from "../lib/resilience/outages.ts";
import { envOf } from "../lib/settings/env.ts";

/** Time between two attempts to reach Postgres at the start. */
const RETRY_MS = 500;

export interface HasDatabase {
	readonly db: Database;
}

/** Connects a service to its own database: one pool, closed when the service stops. */
export const database: Mixin<HasDatabase> = {
	created(this: ServiceThis & { db: Database }) {
		const { DATABASE_URL, DATABASE_POOL, SQL_ECHO } = envOf(this.broker);
		if (!DATABASE_URL) throw new Error("DATABASE_URL is not set");
		this.db = new Database({
			url: databaseUrl(DATABASE_URL, this.name),
			poolSize: DATABASE_POOL,
			tracer: tracingOf(this.broker)?.of(this.name),
			...(SQL_ECHO
				? { echo: (statement: string) => this.logger.info(withoutLiterals(statement)) }
				: {}),
		});
		addProbe(this, "postgres", () => this.db.query("select 1"));
		metricsOf(this.broker).collect((report) => {
			const { busy, idle, waiting, limit } = this.db.poolUse;
			report(catalogue.pool, busy, this.name, "busy");
			report(catalogue.pool, idle, this.name, "idle");
			report(catalogue.poolWaiting, waiting, this.name);
			report(catalogue.poolLimit, limit, this.name);
		});
	},
	/** Waits for Postgres, which may have ended since the process found it. */
	async started(this: ServiceThis & HasDatabase) {
		for (;;) {
			try {
				await this.db.query("select 1");
				return;
			} catch (error) {
				if (!isOutage(error)) throw error;
				this.logger.warn("Postgres does not respond; will retry the start", { error });
				await delay(RETRY_MS);
			}
		}
	},
	async stopped(this: HasDatabase) {
		await this.db.close();
	},
};
