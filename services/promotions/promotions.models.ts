import {
	DataTypes,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	type Sequelize,
} from "sequelize";
import type { Promotion } from "./promotions.rules.ts";

const columns: Record<keyof Promotion, ModelAttributes[string]> = {
	id: { type: DataTypes.UUID, primaryKey: true },
	name: DataTypes.TEXT,
	code: DataTypes.TEXT,
	starts_at: DataTypes.DATE,
	ends_at: DataTypes.DATE,
	priority: DataTypes.INTEGER,
	combinable: DataTypes.BOOLEAN,
	currency: DataTypes.TEXT,
	conditions: DataTypes.JSONB,
	effect: DataTypes.JSONB,
	usage_limit: DataTypes.INTEGER,
	usage_limit_per_customer: DataTypes.INTEGER,
	budget: DataTypes.DECIMAL,
	used: DataTypes.INTEGER,
	spent: DataTypes.DECIMAL,
	is_exhausted: DataTypes.BOOLEAN,
	created_at: DataTypes.DATE,
	updated_at: DataTypes.DATE,
};

/** Queries through this model do not return deleted promotions. */
export const definePromotion = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("promotion", columns, {
		tableName: "promotions",
		defaultScope: { where: { deleted_at: null } },
	});
