import type { ServiceBroker } from "moleculer";
import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import type { Model, ModelStatic, Sequelize } from "sequelize";

/*
 * The only file that uses private members of moleculer-db's Sequelize adapter and of the service
 * that it belongs to. sequelize-adapter.test.ts fails if an upgrade changes them.
 */

/** A column name, with `-` for descending, or an expression and its direction. */
export type Sort = string | readonly [expression: object, direction: "ASC" | "DESC"];

export interface Adapter {
	findById(id: string): Promise<Model | null>;
}
interface AdapterInternals extends Adapter {
	init(broker: object, service: object): void;
	transformSort(sort: string[]): object[];
}

/**
 * The adapter of a service, which finds rows of an initialized model. It creates no tables then,
 * which is the task of migrations.
 */
export function adapterFor(
	service: { readonly broker: ServiceBroker; readonly schema: { model?: ModelStatic<Model> } },
	sequelize: Sequelize,
	model: ModelStatic<Model>,
): Adapter {
	// Assigned here, because Moleculer would clone a model in the schema with its connection.
	service.schema.model = model;
	const adapter = new SequelizeAdapter(sequelize) as unknown as AdapterInternals;
	adapter.init(service.broker, service);
	// The adapter supports sorting by columns only.
	const transformSort = adapter.transformSort.bind(adapter);
	return Object.assign(adapter, {
		transformSort: (sort: Sort[]) =>
			sort.flatMap((one) => (typeof one === "string" ? transformSort([one]) : [one])),
	});
}
