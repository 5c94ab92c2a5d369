import { Op, type WhereOptions } from "sequelize";
import type { Infer } from "../../lib/contracts/schema.ts";
import { escapeLike } from "../../lib/persistence/like.ts";
import type { users } from "./users.contract.ts";

/** Characters below which a part of a word occurs too often to search for. */
const MIN_PART = 3;

/** Condition of the users that a request for a list selects. */
export function selectUsers({
	q,
	role,
	is_active,
}: Pick<Infer<typeof users.actions.list.params>, "q" | "role" | "is_active">): WhereOptions {
	return {
		...(role === undefined ? {} : { role }),
		...(is_active === undefined ? {} : { is_active }),
		...(q === undefined ? {} : { [Op.or]: matches(q.normalize("NFC")) }),
	};
}

/**
 * Alternative conditions of a search. The trigrams of an index find a part of three characters, and
 * of fewer characters the beginning of a word.
 */
function matches(q: string): WhereOptions[] {
	const text = escapeLike(q);
	if ([...q].length >= MIN_PART)
		return ["email", "full_name"].map((column) => ({ [column]: { [Op.iLike]: `%${text}%` } }));
	return [
		{ email: { [Op.iLike]: `${text}%` } },
		{ full_name: { [Op.iLike]: `${text}%` } },
		{ full_name: { [Op.iLike]: `% ${text}%` } },
	];
}
