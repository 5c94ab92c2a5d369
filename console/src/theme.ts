import { signal } from "@preact/signals";

type Theme = "light" | "dark";
const KEY = "console-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const stored = (): Theme | undefined => {
	const value = localStorage.getItem(KEY);
	return value === "light" || value === "dark" ? value : undefined;
};
const current = (): Theme => stored() ?? (dark.matches ? "dark" : "light");

/** The user's choice, or else the preference of the system. */
export const theme = signal<Theme>(current());

/** Shows the theme, also after changes of the system's preference. */
export function applyTheme(): void {
	const apply = () => {
		theme.value = current();
		document.documentElement.dataset.theme = theme.value;
	};
	apply();
	dark.addEventListener("change", apply);
	addEventListener("storage", apply);
}

export function toggleTheme(): void {
	localStorage.setItem(KEY, theme.value === "dark" ? "light" : "dark");
	theme.value = current();
	document.documentElement.dataset.theme = theme.value;
}
