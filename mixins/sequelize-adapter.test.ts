import { expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { literal, type Model, type ModelStatic, Sequelize } from "sequelize";
import { adapterFor, type Sort } from "./sequelize-adapter.ts";

/** Fails when an upgrade of moleculer-db's adapter changes its private members. */
test("finds rows of the given model, sorted by columns and expressions", async () => {
	const sequelize = new Sequelize({ dialect: "postgres", logging: false });
	const statements: string[] = [];
	Object.assign(sequelize, {
		query: async (statement: string) => {
			statements.push(statement);
			return [];
		},
	});
	const model: ModelStatic<Model> = sequelize.define("thing", {}, { timestamps: false });
	const service = { broker: new ServiceBroker({ logger: false }), schema: {} };
	const adapter = adapterFor(service, sequelize, model) as ReturnType<typeof adapterFor> & {
		model: ModelStatic<Model>;
		find(filters: { sort: Sort[] }): Promise<Model[]>;
	};
	expect(service.schema).toEqual({ model });
	// The adapter's `connect` does this after it has authenticated.
	adapter.model = model;
	await adapter.find({ sort: ["-id", [literal("lower(name)"), "ASC"]] });
	expect(statements[0]).toContain('ORDER BY "thing"."id" DESC, lower(name) ASC');
});
