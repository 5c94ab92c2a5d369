import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import { user } from "./users.contract.ts";

const types = {
	uuid: DataTypes.UUID,
	email: DataTypes.TEXT,
	string: DataTypes.TEXT,
	enum: DataTypes.TEXT,
	boolean: DataTypes.BOOLEAN,
	time: DataTypes.DATE,
};

/** What the contract shows of a user and nothing else: no read through this model can come by a password's hash. */
export const defineUser = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define(
		"user",
		Object.fromEntries(
			Object.entries(user).map(([column, { type }]) => [
				column,
				{ type: types[type], ...(column === "id" ? { primaryKey: true } : {}) },
			]),
		),
		{ tableName: "users" },
	);
