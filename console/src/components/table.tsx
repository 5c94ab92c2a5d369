import type { ComponentChildren } from "preact";
import { formatNumber } from "../format.ts";
import { href, path, query } from "../router.ts";
import { Empty } from "./states.tsx";

export interface Column<T> {
	readonly title: string;
	cell(row: T): ComponentChildren;
	/** Numbers are aligned at the end. */
	readonly align?: "end";
	/** Not shown on narrow screens. */
	readonly wide?: boolean;
}
interface TableProps<T> {
	/** Describes the rows. */
	readonly label: string;
	readonly rows: readonly T[];
	readonly columns: readonly Column<T>[];
	keyOf(row: T): string;
	/** Shown without rows. */
	readonly empty?: ComponentChildren;
}

/** A table, which scrolls horizontally if the screen is too narrow. */
export function Table<T>({ label, rows, columns, keyOf, empty = "Nothing here." }: TableProps<T>) {
	if (rows.length === 0) return <Empty>{empty}</Empty>;
	const classOf = ({ align, wide }: Column<T>) => `${align ?? ""} ${wide ? "wide" : ""}`.trim();
	return (
		// biome-ignore lint/a11y: a group is no landmark, and the keyboard scrolls it
		<div class="scroll" role="group" aria-label={label} tabIndex={0}>
			<table>
				<thead>
					<tr>
						{columns.map((column) => (
							<th key={column.title} scope="col" class={classOf(column)}>
								{column.title}
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.map((row) => (
						<tr key={keyOf(row)}>
							{columns.map((column) => (
								<td key={column.title} class={classOf(column)}>
									{column.cell(row)}
								</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

interface PagePosition {
	/** Number of the page, from 1. */
	readonly page: number;
	readonly skip: number;
	readonly limit: number;
}
/** Reads the page of a list from the query parameter `page`. @param limit rows on a page */
export function pageOfQuery(limit = 25): PagePosition {
	const page = Math.max(1, Math.trunc(Number(query.value.get("page"))) || 1);
	return { page, skip: (page - 1) * limit, limit };
}

interface PagingProps {
	readonly position: PagePosition;
	/** Rows on this page and on all pages. */
	readonly rows: { readonly length: number; readonly total: number };
}
/** Links to the previous and the next page of a list. */
export function Paging({ position: { page, skip, limit }, rows: { length, total } }: PagingProps) {
	if (page === 1 && length >= total) return null;
	const link = (target: number, text: string, enabled: boolean) => {
		const next = new URLSearchParams(query.value);
		next.set("page", String(target));
		return enabled ? (
			<a class="button" href={href(`${path.value}?${next}`)}>
				{text}
			</a>
		) : (
			<span class="button disabled">{text}</span>
		);
	};
	return (
		<nav class="paging" aria-label="Pages">
			{link(page - 1, "Previous", page > 1)}
			<span>
				{length > 0 ? `${formatNumber(skip + 1)} to ${formatNumber(skip + length)} of ` : "0 of "}
				{formatNumber(total)}
			</span>
			{link(page + 1, "Next", length === limit && skip + length < total)}
		</nav>
	);
}
