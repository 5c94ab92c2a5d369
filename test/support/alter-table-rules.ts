import type { AlterTableCmd, ColumnDef, Constraint, Node } from "libpg-query";

/** Context of a statement. */
export interface State {
	/** Tables of earlier files, which are in use while this file runs. */
	readonly live: ReadonlySet<string>;
	/** Constraints that this file has added as NOT VALID. */
	readonly unvalidated: Set<string>;
	/** Statement, with the comments before it. */
	readonly source: string;
	/** Whether the file ends other sessions, because it changes a type. */
	readonly changesType: boolean;
	/** Whether the file runs without a transaction. */
	readonly standalone: boolean;
	/** Whether the statement is part of a block that commits repeatedly. */
	readonly batched?: boolean;
	/** Released versions. */
	readonly released: readonly string[];
}

export const STANDALONE = `in a file of its own that begins with "-- no transaction"`;
const NOT_VALID = "add it as a constraint, NOT VALID, and VALIDATE it in the next migration";
export const BACKFILL = `fill it by a DO block that commits every few thousand rows, ${STANDALONE}`;
export const UNREAD =
	'when a release no longer uses it, state that above the statement, "-- unread since 1.2.0", ' +
	"with that release";

/** Whether a comment names a released version since which the object is unused. */
export function isUnread(source: string, released: readonly string[]): boolean {
	const version = /^--\s*unread since (\d+\.\d+\.\d+)\b/m.exec(source)?.[1];
	return version !== undefined && released.includes(version);
}

/** Checks one command of `alter table` on a table in use. */
export function alter(
	{ subtype, name, def }: AlterTableCmd,
	table: string,
	{ unvalidated, source, released, changesType }: State,
): string[] {
	switch (subtype) {
		case "AT_AddColumn":
			return addColumn((def as { ColumnDef: ColumnDef }).ColumnDef);
		case "AT_AddConstraint":
			return addConstraint((def as { Constraint: Constraint }).Constraint, unvalidated);
		case "AT_ValidateConstraint":
			return unvalidated.has(name!)
				? [
						`${name} is validated while its creation still holds the lock: ` +
							"VALIDATE it in the next migration, by itself",
					]
				: [];
		case "AT_SetNotNull":
			return [
				`reads all rows of ${table} under a lock: ` +
					`add constraint NAME check (${name} is not null), NOT VALID, and VALIDATE it next`,
			];
		case "AT_AlterColumnType":
			if (!isUnconstrainedNumeric((def as { ColumnDef: ColumnDef }).ColumnDef))
				return [
					`rewrites ${table} under a lock: add a column of the new type, ` +
						`write both, and drop ${name} a version later`,
				];
			return changesType
				? []
				: [
						`breaks prepared statements that return ${name}: ` +
							`begin the file with "-- changes a type", which ends the other sessions`,
					];
		case "AT_DropColumn":
			return isUnread(source, released)
				? []
				: [`drops ${table}.${name}, which the previous version may use: ${UNREAD}`];
		case "AT_ColumnDefault":
			return def || isUnread(source, released)
				? []
				: [`drops a default that the previous version may require: ${UNREAD}`];
		case "AT_DropConstraint":
		case "AT_DropNotNull":
		case "AT_SetRelOptions":
		case "AT_SetStatistics":
			return [];
		default:
			return [
				`${subtype} is not known to be safe for ${table}: ` +
					"use another statement, or add it to test/support/migration-rules.ts",
			];
	}
}

/**
 * Whether a type is numeric without precision and scale, to which Postgres changes any other
 * numeric type without a rewrite. The test of locks verifies that the column was numeric before.
 */
const isUnconstrainedNumeric = ({ typeName, raw_default }: ColumnDef): boolean =>
	typeName?.names?.at(-1) !== undefined &&
	JSON.stringify(typeName.names.at(-1)).includes('"numeric"') &&
	!typeName.typmods &&
	!typeName.arrayBounds &&
	!raw_default;

function addColumn({ colname, typeName, constraints = [] }: ColumnDef): string[] {
	const rules = constraints.map((one) => (one as { Constraint: Constraint }).Constraint);
	const initial = rules.find(({ contype }) => contype === "CONSTR_DEFAULT")?.raw_expr;
	const serial = typeName?.names?.some(
		(part) => "String" in part && /serial/i.test(part.String.sval ?? ""),
	);
	return [
		...(serial ||
		rules.some(({ contype }) => contype === "CONSTR_IDENTITY" || contype === "CONSTR_GENERATED")
			? [`${colname} is computed for each row under a lock: add it nullable, and ${BACKFILL}`]
			: []),
		...(initial && !isStable(initial)
			? [
					`the default of ${colname} may differ by row, ` +
						`so all rows are written under a lock: add it without, and ${BACKFILL}`,
				]
			: []),
		...(!initial && rules.some(({ contype }) => contype === "CONSTR_NOTNULL")
			? [
					`${colname} is NOT NULL without a default, so existing rows ` +
						"and inserts of the previous version fail: make it nullable, or give it one",
				]
			: []),
		...rules.flatMap(({ contype }) => {
			if (contype === "CONSTR_CHECK" || contype === "CONSTR_FOREIGN")
				return [`${colname} is checked in every row under a lock: ${NOT_VALID}`];
			return contype === "CONSTR_UNIQUE" || contype === "CONSTR_PRIMARY"
				? [uniqueness(colname!)]
				: [];
		}),
	];
}
/** Whether Postgres computes a default once: a constant, or the time of the transaction. */
function isStable(expression: Node): boolean {
	if ("TypeCast" in expression) return isStable(expression.TypeCast.arg!);
	if ("FuncCall" in expression)
		return (
			expression.FuncCall.funcname?.every(
				(part) => "String" in part && part.String.sval === "now",
			) ?? false
		);
	return "A_Const" in expression || "SQLValueFunction" in expression;
}

function addConstraint(
	{ contype, conname, skip_validation, indexname }: Constraint,
	unvalidated: Set<string>,
): string[] {
	if (contype === "CONSTR_UNIQUE" || contype === "CONSTR_PRIMARY")
		return indexname ? [] : [uniqueness(conname ?? "it")];
	if (!conname)
		return ["adds a constraint without a name: give it one, which the next migration uses"];
	if (!skip_validation) return [`${conname} is checked in every row under a lock: ${NOT_VALID}`];
	unvalidated.add(conname);
	return [];
}
const uniqueness = (name: string) =>
	`${name} requires an index that is built under a lock: ` +
	`build it concurrently, ${STANDALONE}, then add the constraint USING INDEX`;
