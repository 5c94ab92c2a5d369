import { reads } from "../../api.ts";
import { Chart } from "../../components/chart.tsx";
import { Figures, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { Link } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatMoney, formatNumber } from "../../format.ts";
import { POLL_MS } from "./poll.ts";
import { outcomesOf, RANGES, type Range, seriesOf, startOf } from "./statistics.rules.ts";

/** Orders and revenue of a range, and the outcomes of its sagas. */
export function Orders({ range }: { range: Range }) {
	const found = useData(
		async (signal) => {
			const now = Date.now();
			const from = new Date(startOf(range, now) * 1000).toISOString();
			const { interval } = RANGES[range];
			return { now, statistics: await reads.orders.statistics({ from, interval }, { signal }) };
		},
		[range],
		{ poll: POLL_MS },
	);
	const stuck = useData((signal) => reads.orders.listStuck({ limit: 1 }, { signal }), [], {
		poll: POLL_MS,
	});
	return (
		<>
			<Panel title="Orders">
				<Loaded of={found}>
					{({ statistics, now }) => {
						const { times, placed, confirmed, cancelled } = seriesOf(statistics, range, now);
						return (
							<Chart
								label={`Orders: ${outcomesOf(statistics).placed} placed`}
								times={times}
								lines={{ Placed: placed, Confirmed: confirmed, Cancelled: cancelled }}
								format={formatNumber}
							/>
						);
					}}
				</Loaded>
			</Panel>
			<Panel title="Revenue">
				<Loaded of={found}>
					{({ statistics, now }) => {
						const { times, revenue } = seriesOf(statistics, range, now);
						const currencies = Object.keys(revenue);
						const lines = currencies.length > 0 ? revenue : { Revenue: times.map(() => 0) };
						const format = (amount: number) =>
							currencies.length === 1 ? formatMoney(amount, currencies[0]!) : formatNumber(amount);
						return (
							<Chart
								label={`Revenue: ${revenueOf(outcomesOf(statistics).revenue)}`}
								times={times}
								lines={lines}
								format={format}
							/>
						);
					}}
				</Loaded>
			</Panel>
			<Panel title="Sagas of orders" full>
				<Loaded of={found}>
					{({ statistics }) => {
						const { confirmed, cancelled, open, revenue } = outcomesOf(statistics);
						return (
							<Figures
								rows={{
									Confirmed: formatNumber(confirmed),
									Cancelled: formatNumber(cancelled),
									Open: formatNumber(open),
									Stuck: <Stuck count={stuck.data?.count} />,
									Revenue: revenueOf(revenue),
								}}
							/>
						);
					}}
				</Loaded>
			</Panel>
		</>
	);
}

const revenueOf = (revenue: Readonly<Record<string, number>>): string =>
	Object.entries(revenue)
		.map(([currency, amount]) => formatMoney(amount, currency))
		.join(" + ") || "0";

function Stuck({ count }: { count: number | undefined }) {
	if (count === undefined) return "–";
	return count === 0 ? "0" : <Link to="/stuck-orders">{formatNumber(count)}</Link>;
}
