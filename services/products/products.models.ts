import {
	DataTypes,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	type Sequelize,
} from "sequelize";
import type { Product } from "./products.rules.ts";

const columns: Record<keyof Product, ModelAttributes[string]> = {
	id: { type: DataTypes.UUID, primaryKey: true },
	name: DataTypes.TEXT,
	description: DataTypes.TEXT,
	price: DataTypes.DECIMAL,
	currency: DataTypes.TEXT,
	category: DataTypes.TEXT,
	sku: DataTypes.TEXT,
	parent_id: DataTypes.UUID,
	options: DataTypes.JSONB,
	option_names: DataTypes.JSONB,
	variant_count: DataTypes.INTEGER,
	attributes: DataTypes.JSONB,
	images: DataTypes.JSONB,
	created_at: DataTypes.DATE,
	updated_at: DataTypes.DATE,
};

/** Products of the catalogue. Queries through this model do not return removed products. */
export const defineProduct = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("product", columns, {
		tableName: "products",
		defaultScope: { where: { deleted_at: null } },
	});
