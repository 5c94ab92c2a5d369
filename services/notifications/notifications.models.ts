import {
	DataTypes,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	type Sequelize,
} from "sequelize";
import type { notification } from "./notifications.contract.ts";

/** Columns of a message in lists; its data is private. */
const columns: Record<keyof typeof notification, ModelAttributes[string]> = {
	id: { type: DataTypes.UUID, primaryKey: true },
	user_id: DataTypes.UUID,
	channel: DataTypes.TEXT,
	template: DataTypes.TEXT,
	subject: DataTypes.TEXT,
	status: DataTypes.TEXT,
	attempts: DataTypes.INTEGER,
	sent_at: DataTypes.DATE,
	event_id: DataTypes.UUID,
};

/** Defines the Sequelize model of lists of messages. */
export const defineMessage = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("message", columns, { tableName: "messages" });
