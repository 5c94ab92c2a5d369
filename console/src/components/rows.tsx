import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

interface RowsProps<T> {
	/** Names the rows: "Images". */
	readonly legend: string;
	/** Names one row, in labels of buttons: "image". */
	readonly item: string;
	readonly initial: readonly T[];
	/** A new row. */
	readonly blank: T;
	readonly max: number;
	/** The order of the rows has a meaning: they can be moved. */
	readonly ordered?: boolean;
	/** Many rows: only the first one shows the labels of its fields, on wide screens. */
	readonly compact?: boolean;
	readonly hint?: ComponentChildren;
	/** Fields of a row, whose names contain its current position. Depends on nothing else. */
	children(row: T, position: number): ComponentChildren;
}
/** Rows of fields in a form, which can be added, removed and moved. Inputs keep their values. */
export function Rows<T>(props: RowsProps<T>) {
	const { legend, item, initial, blank, max, ordered = false, compact = false, hint } = props;
	const [rows, setRows] = useState(() => initial.map((row, key) => ({ row, key })));
	const next = useRef(initial.length);
	const list = useRef<HTMLUListElement>(null);
	const addButton = useRef<HTMLButtonElement>(null);
	const added = useRef(false);
	/** Elements by key. An unchanged element is not rendered again. */
	const elements = useRef(new Map<number, { position: number; element: ComponentChildren }>());
	const render = (row: T, key: number, position: number): ComponentChildren => {
		const known = elements.current.get(key);
		if (known?.position === position) return known.element;
		const element = props.children(row, position);
		elements.current.set(key, { position, element });
		return element;
	};
	useLayoutEffect(() => {
		if (added.current)
			list.current?.lastElementChild
				?.querySelector<HTMLElement>("input, select, textarea")
				?.focus();
		added.current = false;
	}, [rows]);
	const add = () => {
		added.current = true;
		setRows([...rows, { row: blank, key: next.current++ }]);
	};
	const remove = (position: number) => {
		setRows(rows.toSpliced(position, 1));
		addButton.current?.focus();
	};
	const moveUp = (position: number, button: HTMLElement) => {
		setRows(
			rows.toSpliced(position - 1, 2, ...rows.slice(position - 1, position + 1).toReversed()),
		);
		// The first row has no such button.
		if (position === 1) (button.nextElementSibling as HTMLElement).focus();
	};
	return (
		<fieldset class={compact ? "rows compact" : "rows"}>
			<legend>{legend}</legend>
			{hint && <p class="hint">{hint}</p>}
			<ul ref={list} class="row-list">
				{rows.map(({ row, key }, position) => (
					<li key={key}>
						{render(row, key, position)}
						<div class="row-buttons">
							{ordered && position > 0 && (
								<button
									type="button"
									aria-label={`Move ${item} ${position + 1} up`}
									onClick={({ currentTarget }) => moveUp(position, currentTarget)}
								>
									↑
								</button>
							)}
							<button
								type="button"
								aria-label={`Remove ${item} ${position + 1}`}
								onClick={() => remove(position)}
							>
								×
							</button>
						</div>
					</li>
				))}
			</ul>
			<button
				ref={addButton}
				type="button"
				class="add-row"
				aria-disabled={rows.length >= max}
				onClick={() => rows.length < max && add()}
			>
				Add {item}
			</button>
		</fieldset>
	);
}
