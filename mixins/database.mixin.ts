import { createRequire } from "node:module";
import type { ServiceSchema } from "moleculer";
import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import { type Model, type ModelStatic, Op, type Sequelize } from "sequelize";
import type { Ctx, Mixin, ServiceThis } from "../lib/contracts/contract.ts";
import { addProbe } from "../lib/health/probes.ts";
import { withoutLiterals } from "../lib/observability/logging/redact.ts";
import { catalogue } from "../lib/observability/metrics/catalogue.ts";
import { metricsOf } from "../lib/observability/metrics/registry.ts";
import { tracingOf } from "../lib/observability/tracing/tracing.ts";
import {
	approximateCount,
	type PageRequest,
	pageOf,
} from "../lib/persistence/approximate-count.ts";
import { Database, databaseUrl } from "../lib/persistence/database.ts";
import { envOf } from "../lib/settings/env.ts";

const DbService = createRequire(import.meta.url)("moleculer-db") as ServiceSchema;

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
		metricsOf(this.broker).collect((tell) => {
			const { busy, idle, waiting, limit } = this.db.poolUse;
			tell(catalogue.pool, busy, this.name, "busy");
			tell(catalogue.pool, idle, this.name, "idle");
			tell(catalogue.poolWaiting, waiting, this.name);
			tell(catalogue.poolLimit, limit, this.name);
		});
	},
	async started(this: HasDatabase) {
		await this.db.query("select 1");
	},
	async stopped(this: HasDatabase) {
		await this.db.close();
	},
};

export type Sort = string | readonly [expression: object, direction: "ASC" | "DESC"];
export interface ListQuery extends PageRequest {
	/** Column names, `-` in front for descending; only names that the contract allows may come here. Or an expression and its direction. */
	readonly sort: readonly Sort[];
	readonly where?: object;
	/** Narrows the page, and not the total. */
	readonly pageFilter?: object;
	/** How the total is come by, where counting anew each time would take too long. */
	readonly countRows?: (count: () => Promise<number>) => Promise<number>;
}
export interface HasRecords<Row> {
	readonly model: ModelStatic<Model>;
	/** A row by its id, or null. */
	findRecord(id: string): Promise<Row | null>;
	/** One page and the total behind it, see lib/persistence/approximate-count.ts. `more`, for a page that `page` narrows: whether rows follow. */
	listRecords(ctx: Ctx, query: ListQuery): Promise<{ rows: Row[]; total: number; more?: boolean }>;
}
interface DbSelf<Row> extends ServiceThis, HasDatabase {
	schema: { model?: ModelStatic<Model> };
	model: ModelStatic<Model>;
	adapter: {
		init(broker: object, service: object): void;
		findById(id: string): Promise<Model | null>;
		transformSort(sort: string[]): object[];
	};
	connect(): Promise<void>;
	_find(ctx: object, params: object): Promise<Row[]>;
}

/**
 * moleculer-db over Sequelize for plain reads, on the pool of `database` (list that mixin first). None of moleculer-db's own actions
 * exist: they would turn request parameters into where and order clauses.
 */
export function records<Row>(
	define: (sequelize: Sequelize) => ModelStatic<Model>,
): Mixin<HasRecords<Row>> {
	return {
		settings: { ...DbService.settings, idField: "id" },
		methods: {
			...DbService.methods,
			async findRecord(this: DbSelf<Row>, id: string) {
				const found = await this.adapter.findById(id);
				return (found?.get({ plain: true }) as Row | undefined) ?? null;
			},
			async listRecords(this: DbSelf<Row>, ctx: object, query: ListQuery) {
				const { skip, limit, sort, where = {}, pageFilter, countRows = (count) => count() } = query;
				const [found, all] = await Promise.all([
					// One more than the page shows, because the total does not tell what follows a page behind a row.
					this._find(ctx, {
						limit: pageFilter ? limit + 1 : limit,
						offset: skip,
						sort: [...sort],
						query: pageFilter ? { [Op.and]: [where, pageFilter] } : where,
					}),
					countRows(() => approximateCount(this.db, selectAll(this.model, where))),
				]);
				return {
					...pageOf(found.slice(0, limit), all, query),
					...(pageFilter ? { more: found.length > limit } : {}),
				};
			},
		},
		created(this: DbSelf<Row>) {
			this.model = define(this.db.sequelize);
			// Made here and not written into the schema, which moleculer clones. With a model of its own the adapter creates no tables.
			this.schema.model = this.model;
			this.adapter = new SequelizeAdapter(this.db.sequelize) as unknown as DbSelf<Row>["adapter"];
			this.adapter.init(this.broker, this);
			// The adapter itself sorts by columns only.
			const transformSort = this.adapter.transformSort.bind(this.adapter);
			Object.assign(this.adapter, {
				transformSort: (sort: Sort[]) =>
					sort.flatMap((one) => (typeof one === "string" ? transformSort([one]) : [one])),
			});
		},
		started(this: DbSelf<Row>) {
			return this.connect();
		},
	};
}

interface QueryGenerator {
	selectQuery(
		table: unknown,
		options: { attributes: string[]; where: object },
		model: ModelStatic<Model>,
	): string;
}
/** What a model finds, as a statement: Sequelize's own count has no bound, and cannot be explained. */
function selectAll(model: ModelStatic<Model>, where: object): string {
	const generator = model.sequelize!.getQueryInterface().queryGenerator as QueryGenerator;
	const { where: scope = {} } = model.options.defaultScope ?? {};
	return generator
		.selectQuery(
			model.getTableName(),
			{ attributes: ["id"], where: { [Op.and]: [scope, where] } },
			model,
		)
		.replace(/;$/, "");
}
