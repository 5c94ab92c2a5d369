import { reads } from "../../api.ts";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Link, Money } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { href } from "../../router.ts";
import type { Method } from "./method-values.ts";

const columns: readonly Column<Method>[] = [
	{ title: "Name", cell: ({ code, name }) => <Link to={`/shipping/${code}`}>{name}</Link> },
	{ title: "Code", cell: ({ code }) => <code>{code}</code> },
	{
		title: "Countries",
		wide: true,
		cell: ({ countries }) => (countries[0] === "*" ? "all" : countries.join(", ")),
	},
	{
		title: "Price",
		align: "end",
		cell: ({ price, currency }) => <Money amount={price} currency={currency} />,
	},
	{
		title: "Free from",
		align: "end",
		wide: true,
		cell: ({ free_from, currency }) =>
			free_from !== null && <Money amount={free_from} currency={currency} />,
	},
	{ title: "Tiers", align: "end", wide: true, cell: ({ tiers }) => tiers.length },
	{ title: "Position", align: "end", cell: ({ position }) => position },
];

/** List of shipping methods, by position. */
export function MethodList() {
	const found = useData((signal) => reads.shipping.methods({}, { signal }), []);
	return (
		<Page
			title="Shipping methods"
			actions={
				<a class="button" href={href("/shipping/new")}>
					New shipping method
				</a>
			}
		>
			<Loaded of={found}>
				{(rows) => (
					<Table
						label="Shipping methods"
						rows={rows}
						columns={columns}
						keyOf={({ code }) => code}
						empty="Without shipping methods, every order has free standard shipping."
					/>
				)}
			</Loaded>
		</Page>
	);
}
