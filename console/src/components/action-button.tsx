import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { confirmed, useReturnedFocus } from "./dialog.tsx";
import { toast, toastError } from "./toast.tsx";

interface ActionButtonProps {
	readonly children: ComponentChildren;
	/** Performs the change. */
	act(): PromiseLike<unknown>;
	/** Message after the change. */
	readonly done: string;
	/** Destructive actions ask first. The text names the effect. */
	readonly confirm?: { readonly title: string; readonly text: string; readonly action: string };
	/** Is called after the change, also if it failed: the data may have changed. */
	onSettled?(): void;
}
/** A button that performs a change and shows its result. */
export function ActionButton({ children, act, done, confirm, onSettled }: ActionButtonProps) {
	const [busy, setBusy] = useState(false);
	const button = useReturnedFocus();
	const onClick = async () => {
		if (busy || (confirm && !(await confirmed(confirm)))) return;
		setBusy(true);
		try {
			await act();
			toast(done);
		} catch (error) {
			toastError(error);
		} finally {
			setBusy(false);
			onSettled?.();
		}
	};
	return (
		<button
			ref={button}
			type="button"
			class={confirm ? "danger" : ""}
			// A disabled button would lose the focus.
			aria-disabled={busy}
			onClick={onClick}
		>
			{children}
		</button>
	);
}
