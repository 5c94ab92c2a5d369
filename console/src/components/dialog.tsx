import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

interface DialogProps {
	readonly title: string;
	/** Is called when the user closes the dialog, also with Escape. */
	onClose(): void;
	readonly children: ComponentChildren;
}
/** Moves the focus to the title of the page, because the focused element has disappeared. */
const focusTitle = (): void => document.querySelector("h1")?.focus({ preventScroll: true });

/**
 * Reference for a button that may disappear with the change that it makes. The title then receives
 * the focus.
 */
export function useReturnedFocus() {
	const button = useRef<HTMLButtonElement>(null);
	useLayoutEffect(
		() => () => {
			if (document.activeElement === button.current) focusTitle();
		},
		[],
	);
	return button;
}

/** A modal dialog while it is rendered. The browser keeps the focus inside, and returns it. */
export function Dialog({ title, onClose, children }: DialogProps) {
	const ref = useRef<HTMLDialogElement>(null);
	const id = useId();
	useLayoutEffect(() => {
		const dialog = ref.current!;
		const opener = document.activeElement;
		dialog.showModal();
		return () => {
			dialog.close();
			if (opener instanceof HTMLElement) opener.focus();
		};
	}, []);
	return (
		<dialog
			ref={ref}
			aria-labelledby={id}
			onCancel={(event) => {
				event.preventDefault();
				onClose();
			}}
		>
			<h2 id={id}>{title}</h2>
			{children}
		</dialog>
	);
}

interface DialogButtonProps {
	readonly label: string;
	/** Distinguishes equal buttons for screen readers: "stock of Mug". */
	readonly subject?: string;
	readonly danger?: boolean;
	/** The dialog that the button opens. */
	children(close: () => void): ComponentChildren;
}
/** A button that opens a dialog. */
export function DialogButton({ label, subject, danger = false, children }: DialogButtonProps) {
	const [open, setOpen] = useState(false);
	const button = useReturnedFocus();
	return (
		<>
			<button
				ref={button}
				type="button"
				class={danger ? "danger" : ""}
				onClick={() => setOpen(true)}
			>
				{label}
				{subject && <span class="hidden"> {subject}</span>}
			</button>
			{open && children(() => setOpen(false))}
		</>
	);
}

export interface Question {
	readonly title: string;
	readonly text: ComponentChildren;
	/** Label of the button that confirms: a verb. */
	readonly action: string;
	/** The change destroys nothing, but has a large effect. */
	readonly harmless?: boolean;
}
const asked = signal<(Question & { answer(confirmed: boolean): void }) | undefined>(undefined);

/** Opens a dialog that confirms a change. @returns whether the user confirmed it */
export const confirmed = (question: Question): Promise<boolean> =>
	new Promise((resolve) => {
		asked.value = {
			...question,
			answer(result) {
				asked.value = undefined;
				resolve(result);
			},
		};
	});

/** Shows the question of `confirmed`. */
export function Confirmation() {
	if (!asked.value) return null;
	const { title, text, action, harmless, answer } = asked.value;
	return (
		<Dialog title={title} onClose={() => answer(false)}>
			<p>{text}</p>
			<div class="buttons">
				{/* First, so that it has the focus. */}
				<button type="button" onClick={() => answer(false)}>
					Cancel
				</button>
				<button type="button" class={harmless ? "primary" : "danger"} onClick={() => answer(true)}>
					{action}
				</button>
			</div>
		</Dialog>
	);
}
