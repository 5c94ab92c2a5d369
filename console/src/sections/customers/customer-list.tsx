import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads } from "../../api.ts";
import { Filters, SelectFilter, TextFilter } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Paging, pageOfQuery, Table } from "../../components/table.tsx";
import { Badge, Link, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { query } from "../../router.ts";
import { filtersOf, ROLES, STATES } from "./filters.ts";

type User = ResultOf<"users.list">[number];
const columns: readonly Column<User>[] = [
	{
		title: "Name",
		cell: ({ id, full_name }) => <Link to={`/customers/${id}`}>{full_name}</Link>,
	},
	{ title: "E-mail address", cell: ({ email }) => email },
	{ title: "Role", wide: true, cell: ({ role }) => ROLES[role] },
	{ title: "State", cell: ({ is_active }) => <State active={is_active} /> },
	{ title: "Registered", wide: true, cell: ({ created_at }) => <Time at={created_at} /> },
];

/** List of the accounts, by a part of the name or address. */
export function CustomerList() {
	const position = pageOfQuery();
	const found = useData(
		(signal) => {
			const { skip, limit } = position;
			return reads.users.list({ skip, limit, ...filtersOf(query.value) }, { signal });
		},
		[query.value.toString()],
	);
	return (
		<Page title="Customers">
			<Filters>
				<TextFilter label="Name or e-mail address" name="q" />
				<SelectFilter label="Role" name="role" choices={ROLES} />
				<SelectFilter label="State" name="active" choices={STATES} />
			</Filters>
			<Loaded of={found}>
				{(rows) => (
					<>
						<Table
							label="Customers"
							rows={rows}
							columns={columns}
							keyOf={({ id }) => id}
							empty="No account matches. Search the orders of guests by e-mail address."
						/>
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

export const State = ({ active }: { active: boolean }) => (
	<Badge tone={active ? "good" : "bad"}>{active ? "active" : "deactivated"}</Badge>
);
