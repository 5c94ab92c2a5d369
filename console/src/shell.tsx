import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { Confirmation } from "./components/dialog.tsx";
import { Page } from "./components/page.tsx";
import { Failure } from "./components/states.tsx";
import { Toasts, toastError } from "./components/toast.tsx";
import { Link } from "./components/values.tsx";
import { match } from "./route-pattern.ts";
import { href, path } from "./router.ts";
import { sections } from "./sections.ts";
import { signOut } from "./session.ts";
import { theme, toggleTheme } from "./theme.ts";

/** Header, navigation, and the page of the address. */
export function Shell({ email }: { email: string }) {
	const [open, setOpen] = useState(false);
	const current = path.value;
	useEffect(() => setOpen(false), [current]);
	return (
		<>
			<a class="skip" href="#main">
				Skip to content
			</a>
			<header>
				<button
					type="button"
					class="menu"
					aria-expanded={open}
					aria-controls="navigation"
					onClick={() => setOpen(!open)}
				>
					Menu
				</button>
				<span class="brand">Admin console</span>
				<span class="account">{email}</span>
				<button type="button" aria-pressed={theme.value === "dark"} onClick={toggleTheme}>
					Dark mode
				</button>
				<button type="button" onClick={() => signOut().catch(toastError)}>
					Sign out
				</button>
			</header>
			<nav id="navigation" class={open ? "open" : ""} aria-label="Sections">
				<ul>
					{sections.map(({ title, pages }) => {
						const isCurrent = Object.keys(pages).some((pattern) => match(pattern, current));
						return (
							<li key={title}>
								<a
									href={href(Object.keys(pages)[0]!)}
									aria-current={isCurrent ? "page" : undefined}
								>
									{title}
								</a>
							</li>
						);
					})}
				</ul>
			</nav>
			<main id="main" tabIndex={-1}>
				<CurrentPage key={current} of={current} />
			</main>
			<Confirmation />
			<Toasts />
		</>
	);
}

/** The page of a path. A failure of one page leaves the others usable. */
function CurrentPage({ of }: { of: string }) {
	const [error, reset] = useErrorBoundary();
	if (error)
		return (
			<Page title="Something went wrong">
				<Failure error={error} retry={reset} />
			</Page>
		);
	for (const [pattern, Component] of sections.flatMap(({ pages }) => Object.entries(pages))) {
		const params = match(pattern, of);
		const Found: ComponentType<Record<string, string>> = Component;
		if (params) return <Found {...params} />;
	}
	return (
		<Page title="Page not found">
			<p>
				This page does not exist. <Link to="/">Open the overview</Link>
			</p>
		</Page>
	);
}
