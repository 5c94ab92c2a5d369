import {
	type AlterTableCmd,
	type DropStmt,
	type IndexStmt,
	type Node,
	parse,
	parsePlPgSQL,
} from "libpg-query";
import { isChangeOfType, isWithoutTransaction } from "../../lib/persistence/migration.ts";
import { alter, BACKFILL, isUnread, STANDALONE, type State, UNREAD } from "./alter-table-rules.ts";

/** Migration, with its path from the project root. */
export interface MigrationFile {
	readonly file: string;
	readonly text: string;
}
/**
 * Statements in the migrations of one database that would block a running shop or break a node of
 * the previous version: one line each, with an alternative.
 * @param files in the order of their execution
 */
export async function violations(
	files: readonly MigrationFile[],
	released: readonly string[],
): Promise<string[]> {
	const live = new Set<string>();
	const found: string[] = [];
	for (const { file, text } of files) {
		const { stmts = [] } = await parse(text);
		const created = new Set<string>();
		const unvalidated = new Set<string>();
		const standalone = isWithoutTransaction(text);
		const changesType = isChangeOfType(text);
		if (standalone && stmts.length !== 1)
			found.push(
				`${file}: has ${stmts.length} statements without a transaction: write one in a file`,
			);
		const bytes = Buffer.from(text);
		let from = 0;
		for (const { stmt, stmt_location = 0, stmt_len } of stmts) {
			const to = stmt_len === undefined ? bytes.length : stmt_location + stmt_len;
			const source = bytes.subarray(from, to).toString();
			from = to;
			const state = { live, unvalidated, source, changesType, standalone, released };
			const problems = "DoStmt" in stmt! ? await block(state) : statement(stmt!, state);
			for (const problem of problems) found.push(`${file}: ${problem}`);
			if ("CreateStmt" in stmt!) created.add(stmt.CreateStmt.relation!.relname!);
		}
		for (const table of created) live.add(table);
	}
	return found;
}

/** Checks the statements of a DO block. */
async function block(state: State): Promise<string[]> {
	const text = JSON.stringify(await parsePlPgSQL(state.source));
	if (text.includes('"PLpgSQL_stmt_dynexecute"'))
		return ["executes dynamic SQL, which cannot be checked: write it as a statement"];
	const queries = [
		...text.matchAll(/"PLpgSQL_expr":\{"query":("(?:[^"\\]|\\.)*"),"parseMode":0\}/g),
	].map(([, query]) => JSON.parse(query!) as string);
	const inside = await Promise.all(queries.map(async (query) => (await parse(query)).stmts ?? []));
	const batched = state.standalone && text.includes('"PLpgSQL_stmt_commit"');
	return inside.flat().flatMap(({ stmt }) => statement(stmt!, { ...state, batched }));
}

function statement(node: Node, state: State): string[] {
	const isLive = (relation: { relname?: string } | undefined) =>
		state.live.has(relation?.relname ?? "");
	if ("IndexStmt" in node)
		return index(node.IndexStmt, isLive(node.IndexStmt.relation), state.standalone);
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
			"renames an object that the previous version uses: " +
				"add the new one, write both, and drop the old one a version later",
		];
	if ("UpdateStmt" in node || "DeleteStmt" in node) {
		const { relation } = "UpdateStmt" in node ? node.UpdateStmt : node.DeleteStmt;
		return isLive(relation) && !state.batched
			? [`locks the rows of ${relation!.relname} until it ends: ${BACKFILL}`]
			: [];
	}
	if (SAFE.some((kind) => kind in node)) return [];
	if ("TransactionStmt" in node)
		return [`begins or ends a transaction: each file runs in one, or ${STANDALONE} without one`];
	const [kind] = Object.keys(node);
	if ("VacuumStmt" in node && !node.VacuumStmt.is_vacuumcmd) return [];
	const heavy = [
		"VacuumStmt",
		"ClusterStmt",
		"LockStmt",
		"TruncateStmt",
		"ReindexStmt",
		"RefreshMatViewStmt",
	].includes(kind!);
	if (heavy) return ["locks a whole table until it ends: leave it out of migrations"];
	return [
		`${kind} is not known to be safe for a table in use: ` +
			"use another statement, or add it to test/support/migration-rules.ts",
	];
}
/** Includes `create or replace function`, which keeps the signature of the previous version. */
const SAFE = [
	"CreateStmt",
	"CreateExtensionStmt",
	"CreateFunctionStmt",
	"CreateEnumStmt",
	"AlterEnumStmt",
	"CreateSeqStmt",
	"CreateStatsStmt",
	// Blocks writers only until its transaction ends, and reads no row.
	"CreateTrigStmt",
	"ViewStmt",
	"CommentStmt",
	"InsertStmt",
	"SelectStmt",
];

function index(
	{ concurrent, if_not_exists, idxname }: IndexStmt,
	live: boolean,
	standalone: boolean,
): string[] {
	if (!live && !concurrent) return [];
	const alternative = `write "create index concurrently if not exists NAME on …", ${STANDALONE}`;
	if (!concurrent) return [`blocks writes while the index is built: ${alternative}`];
	return if_not_exists && idxname && standalone
		? []
		: [`cannot be repeated after an interruption: ${alternative}`];
}

function drop(
	{ removeType, concurrent }: DropStmt,
	{ source, released, standalone }: State,
): string[] {
	if (removeType === "OBJECT_INDEX")
		return concurrent && standalone
			? []
			: [
					"waits for all users of the table: " +
						`write "drop index concurrently if exists NAME", ${STANDALONE}`,
				];
	return isUnread(source, released)
		? []
		: [`drops an object that the previous version may use: ${UNREAD}`];
}
