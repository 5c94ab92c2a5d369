import { Page, Panel } from "../../components/page.tsx";
import { query, setQuery } from "../../router.ts";
import { Orders } from "./orders.tsx";
import { Queues } from "./queues.tsx";
import { Requests } from "./requests.tsx";
import { RANGES, type Range } from "./statistics.rules.ts";

/** Orders, requests and queues of the shop, live. Each part loads and fails by itself. */
export function OverviewPage() {
	const chosen = query.value.get("range") ?? "";
	const range = chosen in RANGES ? (chosen as Range) : "hour";
	return (
		<Page title="Overview" actions={<RangeButtons range={range} />}>
			<div class="grid">
				<Orders key={range} range={range} />
				<Requests />
				<Panel title="Queues of events" full>
					<Queues />
				</Panel>
			</div>
		</Page>
	);
}

const RangeButtons = ({ range }: { range: Range }) => (
	<>
		{Object.entries(RANGES).map(([name, { label }]) => (
			<button
				key={name}
				type="button"
				class={name === range ? "primary" : ""}
				aria-pressed={name === range}
				onClick={() => setQuery({ range: name })}
			>
				{label}
			</button>
		))}
	</>
);
