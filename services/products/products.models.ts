import {
	DataTypes,
	fn,
	literal,
	type Model,
	type ModelAttributes,
	type ModelStatic,
	Op,
	type Sequelize,
	type WhereOptions,
} from "sequelize";
import type { product } from "./products.contract.ts";

/** What the catalogue shows of a product. */
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

/** The products that are in the catalogue; through this model nobody sees the others. */
export const defineProduct = (sequelize: Sequelize): ModelStatic<Model> =>
	sequelize.define("product", columns, { tableName: "products", defaultScope: { where: { deleted_at: null } } });

export interface Filter {
	readonly category?: string;
	readonly min_price?: number;
	readonly max_price?: number;
	/** Each of them must occur: a word that begins with it, or one of the same English stem. Nothing matches an empty list. */
	readonly words?: readonly string[];
}

/** A filter as Sequelize writes it; whatever the values hold, they stay values. */
export function matching({ category, min_price, max_price, words }: Filter): WhereOptions {
	const found = words?.map((word) => ({
		[Op.or]: [
			{ search: { [Op.match]: fn("to_tsquery", "simple", `${word}:*`) } },
			{ search: { [Op.match]: fn("plainto_tsquery", "english", word) } },
		],
	}));
	return {
		[Op.and]: [
			...(category === undefined ? [] : [{ category }]),
			...(min_price === undefined ? [] : [{ price: { [Op.gte]: min_price } }]),
			...(max_price === undefined ? [] : [{ price: { [Op.lte]: max_price } }]),
			...(found?.length === 0 ? [literal("false")] : (found ?? [])),
		],
	};
}
