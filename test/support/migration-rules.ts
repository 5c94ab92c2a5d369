import {
	type AlterTableCmd,
	type ColumnDef,
	type Constraint,
	type DropStmt,
	type IndexStmt,
	type Node,
	parse,
	parsePlPgSQL,
} from "libpg-query";
import { isWithoutTransaction } from "../../lib/persistence/migration.ts";

/** A migration, by its path inside the project. */
export interface MigrationFile {
	readonly file: string;
	readonly text: string;
}
/** What is known while a file is read. */
interface State {
	/** Tables that an earlier file made: in use while this one runs. */
	readonly live: ReadonlySet<string>;
	/** Constraints that this file has added as not valid. */
	readonly unproved: Set<string>;
	/** The statement, with the comments before it. */
	readonly source: string;
	/** Whether its file runs outside any transaction. */
	readonly alone: boolean;
	/** Whether it is part of a block that commits as it goes. */
	readonly batched?: boolean;
	/** Versions that were released. */
	readonly released: readonly string[];
}

const ALONE = `in a file of its own that begins with "-- no transaction"`;
const NOT_VALID = "add it as a constraint, NOT VALID, and VALIDATE it in the next migration";
const BACKFILL = `fill it bit by bit: a DO block that commits every few thousand rows, ${ALONE}`;
const UNREAD =
	'when a release no longer uses it, say so above the statement, "-- unread since 1.2.0", with that release';

/**
 * What in the migrations of one database would stop a shop that is open, or a node of the version before, a line each with what to write instead.
 * @param files in the order in which they run
 */
export async function violations(
	files: readonly MigrationFile[],
	released: readonly string[],
): Promise<string[]> {
	const live = new Set<string>();
	const found: string[] = [];
	for (const { file, text } of files) {
		const { stmts = [] } = await parse(text);
		const made = new Set<string>();
		const unproved = new Set<string>();
		const alone = isWithoutTransaction(text);
		if (alone && stmts.length !== 1)
			found.push(
				`${file}: has ${stmts.length} statements without a transaction: write one in a file`,
			);
		const bytes = Buffer.from(text);
		let from = 0;
		for (const { stmt, stmt_location = 0, stmt_len } of stmts) {
			const to = stmt_len === undefined ? bytes.length : stmt_location + stmt_len;
			const source = bytes.subarray(from, to).toString();
			from = to;
			const state = { live, unproved, source, alone, released };
			const problems = "DoStmt" in stmt! ? await block(state) : statement(stmt!, state);
			for (const problem of problems) found.push(`${file}: ${problem}`);
			if ("CreateStmt" in stmt!) made.add(stmt.CreateStmt.relation!.relname!);
		}
		for (const table of made) live.add(table);
	}
	return found;
}

/** A DO block, by the statements in it. */
async function block(state: State): Promise<string[]> {
	const text = JSON.stringify(await parsePlPgSQL(state.source));
	if (text.includes('"PLpgSQL_stmt_dynexecute"'))
		return ["puts together what it executes, which cannot be checked: write it as a statement"];
	const queries = [
		...text.matchAll(/"PLpgSQL_expr":\{"query":("(?:[^"\\]|\\.)*"),"parseMode":0\}/g),
	].map(([, query]) => JSON.parse(query!) as string);
	const inside = await Promise.all(queries.map(async (query) => (await parse(query)).stmts ?? []));
	const batched = state.alone && text.includes('"PLpgSQL_stmt_commit"');
	return inside.flat().flatMap(({ stmt }) => statement(stmt!, { ...state, batched }));
}

function statement(node: Node, state: State): string[] {
	const isLive = (relation: { relname?: string } | undefined) =>
		state.live.has(relation?.relname ?? "");
	if ("IndexStmt" in node)
		return index(node.IndexStmt, isLive(node.IndexStmt.relation), state.alone);
	if ("AlterTableStmt" in node) {
		const { relation, cmds = [] } = node.AlterTableStmt;
		if (!isLive(relation)) return [];
		return cmds.flatMap((cmd) =>
			alter((cmd as { AlterTableCmd: AlterTableCmd }).AlterTableCmd, relation!.relname!, state),
		);
	}
	if ("DropStmt" in node) return drop(node.DropStmt, state);
	if ("RenameStmt" in node)
		return [
			"renames what the version before still calls by its name: add the new one, write both, and drop the old one a version later",
		];
	if ("UpdateStmt" in node || "DeleteStmt" in node) {
		const { relation } = "UpdateStmt" in node ? node.UpdateStmt : node.DeleteStmt;
		return isLive(relation) && !state.batched
			? [`keeps the rows of ${relation!.relname} locked until it ends: ${BACKFILL}`]
			: [];
	}
	if (HARMLESS.some((kind) => kind in node)) return [];
	if ("TransactionStmt" in node)
		return [`begins or ends a transaction: each file runs in one, or ${ALONE} without one`];
	const [kind] = Object.keys(node);
	const heavy = [
		"VacuumStmt",
		"ClusterStmt",
		"LockStmt",
		"TruncateStmt",
		"ReindexStmt",
		"RefreshMatViewStmt",
	].includes(kind!);
	if (heavy)
		return ["locks a whole table until it ends: leave it out, a migration is no place for it"];
	return [
		`${kind} is not known to leave a table in use alone: write it in another way, or have test/support/migration-rules.ts know it`,
	];
}
/** `create or replace` leaves a function the shape that the version before calls. */
const HARMLESS = [
	"CreateStmt",
	"CreateFunctionStmt",
	"CreateEnumStmt",
	"AlterEnumStmt",
	"CreateSeqStmt",
	"CreateStatsStmt",
	// It keeps writers waiting only until its transaction ends, and reads no row.
	"CreateTrigStmt",
	"ViewStmt",
	"CommentStmt",
	"InsertStmt",
	"SelectStmt",
];

function index(
	{ concurrent, if_not_exists, idxname }: IndexStmt,
	live: boolean,
	alone: boolean,
): string[] {
	if (!live && !concurrent) return [];
	const wanted = `write "create index concurrently if not exists NAME on …", ${ALONE}`;
	if (!concurrent) return [`keeps everybody from writing while an index is built: ${wanted}`];
	return if_not_exists && idxname && alone
		? []
		: [`could not be run again after it was interrupted: ${wanted}`];
}

function drop({ removeType, concurrent }: DropStmt, { source, released, alone }: State): string[] {
	if (removeType === "OBJECT_INDEX")
		return concurrent && alone
			? []
			: [
					`waits for everybody to leave the table: write "drop index concurrently if exists NAME", ${ALONE}`,
				];
	return isUnread(source, released)
		? []
		: [`drops what the version before may still use: ${UNREAD}`];
}
function isUnread(source: string, released: readonly string[]): boolean {
	const version = /^--\s*unread since (\d+\.\d+\.\d+)\b/m.exec(source)?.[1];
	return version !== undefined && released.includes(version);
}

/** One part of an `alter table` on a table in use. */
function alter(
	{ subtype, name, def }: AlterTableCmd,
	table: string,
	{ unproved, source, released }: State,
): string[] {
	switch (subtype) {
		case "AT_AddColumn":
			return addColumn((def as { ColumnDef: ColumnDef }).ColumnDef);
		case "AT_AddConstraint":
			return addConstraint((def as { Constraint: Constraint }).Constraint, unproved);
		case "AT_ValidateConstraint":
			return unproved.has(name!)
				? [
						`${name} is validated while the lock of its making is still held: VALIDATE it in the next migration, by itself`,
					]
				: [];
		case "AT_SetNotNull":
			return [
				`reads all of ${table} behind a lock: add constraint NAME check (${name} is not null), NOT VALID, and VALIDATE it next`,
			];
		case "AT_AlterColumnType":
			return [
				`writes ${table} anew behind a lock: add a column of the new type, write both, and drop ${name} a version later`,
			];
		case "AT_DropColumn":
			return isUnread(source, released)
				? []
				: [`drops ${table}.${name}, which the version before may still use: ${UNREAD}`];
		case "AT_ColumnDefault":
			return def || isUnread(source, released)
				? []
				: [`takes a default away that the version before may rely on: ${UNREAD}`];
		case "AT_DropConstraint":
		case "AT_DropNotNull":
		case "AT_SetRelOptions":
		case "AT_SetStatistics":
			return [];
		default:
			return [
				`${subtype} is not known to leave ${table} alone: write it in another way, or have test/support/migration-rules.ts know it`,
			];
	}
}

function addColumn({ colname, typeName, constraints = [] }: ColumnDef): string[] {
	const rules = constraints.map((one) => (one as { Constraint: Constraint }).Constraint);
	const initial = rules.find(({ contype }) => contype === "CONSTR_DEFAULT")?.raw_expr;
	const serial = typeName?.names?.some(
		(part) => "String" in part && /serial/i.test(part.String.sval ?? ""),
	);
	return [
		...(serial ||
		rules.some(({ contype }) => contype === "CONSTR_IDENTITY" || contype === "CONSTR_GENERATED")
			? [`${colname} is computed for each row behind a lock: add it nullable, and ${BACKFILL}`]
			: []),
		...(initial && !isSteady(initial)
			? [
					`the default of ${colname} may differ from row to row, so all are written behind a lock: add it without, and ${BACKFILL}`,
				]
			: []),
		...(!initial && rules.some(({ contype }) => contype === "CONSTR_NOTNULL")
			? [
					`${colname} is NOT NULL without a default, which no present row and no node of the version before has: make it nullable, or give it one`,
				]
			: []),
		...rules.flatMap(({ contype }) => {
			if (contype === "CONSTR_CHECK" || contype === "CONSTR_FOREIGN")
				return [`${colname} is checked in every row behind a lock: ${NOT_VALID}`];
			return contype === "CONSTR_UNIQUE" || contype === "CONSTR_PRIMARY"
				? [uniqueness(colname!)]
				: [];
		}),
	];
}
/** Computed once, and then only noted: a constant, or the time of the transaction. */
function isSteady(expression: Node): boolean {
	if ("TypeCast" in expression) return isSteady(expression.TypeCast.arg!);
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
	unproved: Set<string>,
): string[] {
	if (contype === "CONSTR_UNIQUE" || contype === "CONSTR_PRIMARY")
		return indexname ? [] : [uniqueness(conname ?? "it")];
	if (!conname)
		return ["adds a constraint without a name: give it one, the next migration has to call it"];
	if (!skip_validation) return [`${conname} is checked in every row behind a lock: ${NOT_VALID}`];
	unproved.add(conname);
	return [];
}
const uniqueness = (what: string) =>
	`${what} needs an index that is built behind a lock: build it concurrently, ${ALONE}, then add the constraint USING INDEX`;
