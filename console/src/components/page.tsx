import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { navigations } from "../router.ts";

interface PageProps {
	readonly title: string;
	/** Buttons and links beside the title. */
	readonly actions?: ComponentChildren;
	readonly children: ComponentChildren;
}
/** A page with its title, which receives the focus after a navigation. */
export function Page({ title, actions, children }: PageProps) {
	const heading = useRef<HTMLHeadingElement>(null);
	const count = navigations.value;
	useEffect(() => {
		document.title = `${title} · Admin console`;
	}, [title]);
	// Before the page is visible, so that it takes no key presses from a field.
	useLayoutEffect(() => {
		if (count > 0) heading.current?.focus();
	}, [count]);
	return (
		<>
			<div class="title">
				<h1 ref={heading} tabIndex={-1}>
					{title}
				</h1>
				{actions && <div class="actions">{actions}</div>}
			</div>
			{children}
		</>
	);
}

interface PanelProps {
	readonly title: string;
	readonly actions?: ComponentChildren;
	/** Takes the whole width of a grid. */
	readonly full?: boolean;
	readonly children: ComponentChildren;
}
/** A titled part of a page. */
export function Panel({ title, actions, full, children }: PanelProps) {
	return (
		<section class={full ? "panel full" : "panel"} aria-label={title}>
			<div class="title">
				<h2>{title}</h2>
				{actions && <div class="actions">{actions}</div>}
			</div>
			{children}
		</section>
	);
}

/** Terms with their descriptions. Rows without a value are left out. */
export function Facts({ rows }: { rows: Readonly<Record<string, ComponentChildren>> }) {
	return (
		<dl class="facts">
			{Object.entries(rows)
				.filter(([, value]) => value !== undefined && value !== null && value !== "")
				.map(([term, value]) => (
					<div key={term}>
						<dt>{term}</dt>
						<dd>{value}</dd>
					</div>
				))}
		</dl>
	);
}

/** The most important values of a part, large. */
export function Figures({ rows }: { rows: Readonly<Record<string, ComponentChildren>> }) {
	return (
		<dl class="figures">
			{Object.entries(rows).map(([term, value]) => (
				<div key={term}>
					<dt>{term}</dt>
					<dd>{value}</dd>
				</div>
			))}
		</dl>
	);
}
