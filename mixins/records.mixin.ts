import { createRequire } from "node:module";
import type { ServiceSchema } from "moleculer";
import { type Model, type ModelStatic, Op, type Sequelize } from "sequelize";
import type { Ctx, Mixin, ServiceThis } from "../lib/contracts/contract.ts";
import {
	approximateCount,
	type PageRequest,
	pageOf,
} from "../lib/persistence/approximate-count.ts";
import { selectColumns } from "../lib/persistence/sequelize-internals.ts";
import type { HasDatabase } from "./database.mixin.ts";
import { type Adapter, adapterFor, type Sort } from "./sequelize-adapter.ts";

const DbService = createRequire(import.meta.url)("moleculer-db") as ServiceSchema;

interface ListQuery extends PageRequest {
	/** Only names that the contract allows. */
	readonly sort: readonly Sort[];
	readonly where?: object;
	/** Condition of the page that does not affect the total (keyset pagination). */
	readonly pageFilter?: object;
	/** Provides a cached total if counting for each request takes too long. */
	readonly countRows?: (count: () => Promise<number>) => Promise<number>;
}
interface HasRecords<Row> {
	readonly model: ModelStatic<Model>;
	/** Returns a row by its ID, or null. */
	findRecord(id: string): Promise<Row | null>;
	/**
	 * Returns a page and the total of its list, see lib/persistence/approximate-count.ts. `more`, for
	 * a page with `pageFilter`: whether rows follow.
	 */
	listRecords(ctx: Ctx, query: ListQuery): Promise<{ rows: Row[]; total: number; more?: boolean }>;
}
interface DbSelf<Row> extends ServiceThis, HasDatabase {
	schema: { model?: ModelStatic<Model> };
	model: ModelStatic<Model>;
	adapter: Adapter;
	connect(): Promise<void>;
	_find(ctx: object, params: object): Promise<Row[]>;
}

/**
 * moleculer-db with its Sequelize adapter for plain rows, on the pool of `database` (list that
 * mixin first). Two differences from the usual setup. The default actions are removed: they would
 * turn request parameters into where and order clauses. The adapter gets an initialized model in
 * `created`, so that it creates no tables.
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
					// Reads one row more, because the total does not show whether rows follow a keyset page.
					this._find(ctx, {
						limit: pageFilter ? limit + 1 : limit,
						offset: skip,
						sort: [...sort],
						query: pageFilter ? { [Op.and]: [where, pageFilter] } : where,
					}),
					countRows(() => approximateCount(this.db, selectColumns(this.model, ["id"], where))),
				]);
				return {
					...pageOf(found.slice(0, limit), all, query),
					...(pageFilter ? { more: found.length > limit } : {}),
				};
			},
		},
		created(this: DbSelf<Row>) {
			this.model = define(this.db.sequelize);
			this.adapter = adapterFor(this, this.db.sequelize, this.model);
		},
		started(this: DbSelf<Row>) {
			return this.connect();
		},
	};
}
