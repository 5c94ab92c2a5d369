import { href, path } from "../../router.ts";

const TABS = {
	"/failures": "Dead letters",
	"/stuck-orders": "Stuck orders",
	"/audits": "Audits",
} as const;

/** Links between the lists of the section. */
export const Tabs = () => (
	<nav class="tabs" aria-label="Failures">
		{Object.entries(TABS).map(([to, title]) => (
			<a
				key={to}
				class={path.value === to ? "tab current" : "tab"}
				href={href(to)}
				aria-current={path.value === to ? "page" : undefined}
			>
				{title}
			</a>
		))}
	</nav>
);

interface UnavailableProps {
	readonly services: readonly string[];
	/** Name of the missing rows. */
	readonly rows: string;
}
/** Names the services whose rows are missing. */
export const Unavailable = ({ services, rows }: UnavailableProps) =>
	services.length === 0 ? null : (
		<p class="notice" role="status">
			{`Unavailable: ${services.join(", ")}. Their ${rows} are missing.`}
		</p>
	);
