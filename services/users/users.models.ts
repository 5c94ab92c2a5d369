import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import { user } from "./users.contract.ts";

const columnTypes = {
	uuid: DataTypes.UUID,
	email: DataTypes.TEXT,
	string: DataTypes.TEXT,
	enum: DataTypes.TEXT,
	boolean: DataTypes.BOOLEAN,
	time: DataTypes.DATE,
};

/** Columns of the contract only, so that no query through this model can return a password hash. */
export const defineUser = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define(
		"user",
		Object.fromEntries(
			Object.entries(user).map(([column, { type }]) => [
				column,
				{ type: columnTypes[type], ...(column === "id" ? { primaryKey: true } : {}) },
			]),
		),
		{ tableName: "users" },
	);
