import {
	DataTypes,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	type Sequelize,
} from "sequelize";
import type { product } from "./products.contract.ts";

const columns: Record<keyof typeof product, ModelAttributes[string]> = {
	id: { type: DataTypes.UUID, primaryKey: true },
	name: DataTypes.TEXT,
	description: DataTypes.TEXT,
	price: DataTypes.DECIMAL,
	currency: DataTypes.TEXT,
	category: DataTypes.TEXT,
	sku: DataTypes.TEXT,
	created_at: DataTypes.DATE,
	updated_at: DataTypes.DATE,
};

/** Products of the catalog. Queries through this model do not return removed products. */
export const defineProduct = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("product", columns, {
		tableName: "products",
		defaultScope: { where: { deleted_at: null } },
	});
