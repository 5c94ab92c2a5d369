import { signal } from "@preact/signals";

/** Path at which the gateway serves the console. */
const BASE = "/console";

const pathOf = ({ pathname }: Location): string => pathname.slice(BASE.length) || "/";

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
		navigate((link.pathname.slice(BASE.length) || "/") + link.search);
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

/** Parameters of a path by a pattern such as "/orders/:id"; undefined if it does not match. */
export function match(pattern: string, target: string): Record<string, string> | undefined {
	const [expected, given] = [pattern.split("/"), target.split("/")];
	if (expected.length !== given.length) return undefined;
	const params: Record<string, string> = {};
	for (const [i, part] of expected.entries()) {
		if (part.startsWith(":") && given[i]) params[part.slice(1)] = decodeURIComponent(given[i]);
		else if (part !== given[i]) return undefined;
	}
	return params;
}
