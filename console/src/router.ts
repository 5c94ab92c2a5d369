import { signal } from "@preact/signals";

/** Path at which the gateway serves the console. */
const BASE = "/console";

/** Path without BASE and without a trailing slash. */
const pathOf = ({ pathname }: { readonly pathname: string }): string =>
	pathname.slice(BASE.length).replace(/\/$/, "") || "/";

/** Path of the current page, without BASE. */
export const path = signal(pathOf(location));
/** Query parameters of the current page. Replaced, never changed. */
export const query = signal(new URLSearchParams(location.search));
/** Number of changes of the page since the start. The first page keeps the browser's focus. */
export const navigations = signal(0);

/** Address of a page for a link. @param to path with query, without BASE */
export const href = (to: string): string => (to === "/" ? BASE : BASE + to);

/** Opens a page. @param to path with query, without BASE */
export function navigate(to: string, { replace = false } = {}): void {
	history[replace ? "replaceState" : "pushState"](null, "", href(to));
	read();
}

/**
 * Changes query parameters of the current page, without an entry in the browser's history. A value
 * of undefined or "" removes a parameter.
 */
export function setQuery(changes: Record<string, string | undefined>): void {
	const next = new URLSearchParams(query.value);
	for (const [name, value] of Object.entries(changes)) {
		if (value) next.set(name, value);
		else next.delete(name);
	}
	const text = next.toString();
	navigate(path.value + (text && `?${text}`), { replace: true });
}

/** Handles the browser's history and clicks on links to pages of the console. */
export function startRouter(): void {
	addEventListener("popstate", read);
	document.addEventListener("click", (event) => {
		const { button, metaKey, ctrlKey, shiftKey, altKey, defaultPrevented, target } = event;
		if (button !== 0 || metaKey || ctrlKey || shiftKey || altKey || defaultPrevented) return;
		const link = (target as Element).closest("a");
		if (!link || link.target || link.hasAttribute("download") || link.hash) return;
		if (link.origin !== location.origin || !/^\/console(\/|$)/.test(link.pathname)) return;
		event.preventDefault();
		navigate(pathOf(link) + link.search);
	});
}

function read(): void {
	const changed = path.value !== pathOf(location);
	path.value = pathOf(location);
	query.value = new URLSearchParams(location.search);
	if (!changed) return;
	navigations.value++;
	scrollTo(0, 0);
}
