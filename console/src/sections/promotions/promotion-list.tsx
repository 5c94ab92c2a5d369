import { reads } from "../../api.ts";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Paging, pageOfQuery, Table } from "../../components/table.tsx";
import { Badge, Link, Money, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { formatNumber } from "../../format.ts";
import { href } from "../../router.ts";
import { describeEffect, type Promotion, stateOf } from "./promotion-values.ts";

const TONES = {
	active: "good",
	scheduled: "neutral",
	ended: "neutral",
	"used up": "warn",
} as const;

/** Whether orders can use a promotion now. */
export function State({ promotion }: { promotion: Promotion }) {
	const state = stateOf(promotion, Date.now());
	return <Badge tone={TONES[state]}>{state}</Badge>;
}

const columns: readonly Column<Promotion>[] = [
	{ title: "Name", cell: ({ id, name }) => <Link to={`/promotions/${id}`}>{name}</Link> },
	{ title: "Code", cell: ({ code }) => (code ? <code>{code}</code> : "automatic") },
	{
		title: "Effect",
		wide: true,
		cell: ({ effect, currency }) => describeEffect(effect, currency),
	},
	{ title: "State", cell: (promotion) => <State promotion={promotion} /> },
	{
		title: "Ends",
		wide: true,
		cell: ({ ends_at }) => ends_at && <Time at={ends_at} />,
	},
	{
		title: "Used",
		align: "end",
		cell: ({ used, usage_limit }) => formatNumber(used) + limitOf(usage_limit),
	},
	{
		title: "Spent",
		align: "end",
		cell: ({ spent, budget, currency }) => (
			<>
				<Money amount={spent} currency={currency} />
				{budget !== null && (
					<>
						{" of "}
						<Money amount={budget} currency={currency} />
					</>
				)}
			</>
		),
	},
];
const limitOf = (limit: number | null): string =>
	limit === null ? "" : ` of ${formatNumber(limit)}`;

/** List of promotions with their uses, newest first. */
export function PromotionList() {
	const position = pageOfQuery();
	const { skip, limit } = position;
	const found = useData((signal) => reads.promotions.list({ skip, limit }, { signal }), [skip]);
	return (
		<Page
			title="Promotions"
			actions={
				<a class="button" href={href("/promotions/new")}>
					New promotion
				</a>
			}
		>
			<Loaded of={found}>
				{(rows) => (
					<>
						<Table
							label="Promotions"
							rows={rows}
							columns={columns}
							keyOf={({ id }) => id}
							empty="No promotions yet."
						/>
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}
