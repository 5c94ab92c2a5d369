import { signal } from "@preact/signals";
import { messageOf } from "../api.ts";

interface Toast {
	readonly id: number;
	readonly tone: "good" | "bad";
	readonly text: string;
}
/** Milliseconds for which the result of a change is shown. Errors stay until they are dismissed. */
const SHOWN_MS = 6000;
const MAX_TOASTS = 4;
const toasts = signal<readonly Toast[]>([]);
let last = 0;

const dismiss = (id: number) => {
	toasts.value = toasts.value.filter((toast) => toast.id !== id);
};

function show(tone: Toast["tone"], text: string): void {
	const id = ++last;
	toasts.value = [...toasts.value, { id, tone, text }].slice(-MAX_TOASTS);
	if (tone === "good") setTimeout(() => dismiss(id), SHOWN_MS);
}

/** Shows the result of a change. */
export const toast = (text: string): void => show("good", text);
/** Shows that a change has failed. */
export const toastError = (error: unknown): void => show("bad", messageOf(error));

/** Shows the messages; screen readers announce them. */
export const Toasts = () => (
	<div class="toasts" role="status">
		{toasts.value.map(({ id, tone, text }) => (
			<div key={id} class={`toast ${tone}`}>
				<span>{text}</span>
				<button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
					×
				</button>
			</div>
		))}
	</div>
);
