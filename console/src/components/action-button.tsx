import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { confirmed, type Question, useReturnedFocus } from "./dialog.tsx";
import { toast, toastError } from "./toast.tsx";

interface ActionButtonProps<T> {
	readonly children: ComponentChildren;
	/** Performs the change. */
	act(): PromiseLike<T>;
	/** Message after the change. */
	readonly done: string | ((result: T) => string);
	/** Confirmation before the action, required for a destructive one. Its text names the effect. */
	readonly confirm?: Question;
	/** Is called after the change, also if it failed: the data may have changed. */
	onSettled?(): void;
}
/** A button that performs a change and shows its result. */
export function ActionButton<T>({ children, act, done, confirm, onSettled }: ActionButtonProps<T>) {
	const [busy, setBusy] = useState(false);
	const button = useReturnedFocus();
	const onClick = async () => {
		if (busy || (confirm && !(await confirmed(confirm)))) return;
		setBusy(true);
		try {
			const result = await act();
			toast(typeof done === "string" ? done : done(result));
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
			class={confirm && !confirm.harmless ? "danger" : ""}
			// A disabled button would lose the focus.
			aria-disabled={busy}
			onClick={onClick}
		>
			{children}
		</button>
	);
}

interface DeleteButtonProps {
	/** Kind of the object, as in "Delete the promotion?". */
	readonly kind: string;
	readonly name: string;
	/** Sentences about the effect. */
	readonly effect: string;
	/** Adds the name to the accessible label, because a list has several of these buttons. */
	readonly inList?: boolean;
	remove(): PromiseLike<unknown>;
	onSettled?(): void;
}
/** A button that deletes an object after a confirmation. */
export const DeleteButton = ({
	kind,
	name,
	effect,
	inList = false,
	remove,
	...others
}: DeleteButtonProps) => (
	<ActionButton
		act={remove}
		done={`${name} is deleted.`}
		confirm={{
			title: `Delete the ${kind}?`,
			text: `${effect} This cannot be undone.`,
			action: "Delete",
		}}
		{...others}
	>
		Delete …{inList && <span class="hidden"> {name}</span>}
	</ActionButton>
);
