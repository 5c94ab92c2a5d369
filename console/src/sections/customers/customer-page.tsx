import { reads } from "../../api.ts";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { Address, Badge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { CustomerActions } from "./customer-actions.tsx";
import { State } from "./customer-list.tsx";
import { Messages, Orders } from "./customer-records.tsx";
import { ROLES } from "./filters.ts";
import type { User } from "./user.ts";

/** An account with its addresses, orders and messages, and its actions. */
export function CustomerPage({ id }: { id: string }) {
	const user = useData((signal) => reads.users.get({ id }, { signal }), [id]);
	return (
		<Page
			title={user.data?.full_name ?? "Customer"}
			actions={user.data && <CustomerActions user={user.data} onChange={user.reload} />}
		>
			<Loaded of={user}>
				{(found) => (
					<div class="grid">
						<Account user={found} />
						<Addresses id={id} />
						<Orders user={found} />
						<Messages user={found} />
					</div>
				)}
			</Loaded>
		</Page>
	);
}

function Account({ user }: { user: User }) {
	const { id, email, full_name, role, is_active, is_verified, created_at, updated_at } = user;
	return (
		<Panel title="Account">
			<Facts
				rows={{
					Name: full_name,
					"E-mail address": (
						<>
							<a href={`mailto:${email}`}>{email}</a>{" "}
							<Badge tone={is_verified ? "good" : "warn"}>
								{is_verified ? "verified" : "not verified"}
							</Badge>
						</>
					),
					Role: ROLES[role],
					State: <State active={is_active} />,
					Registered: <Time at={created_at} />,
					Changed: <Time at={updated_at} />,
					ID: <code>{id}</code>,
				}}
			/>
		</Panel>
	);
}

function Addresses({ id }: { id: string }) {
	const found = useData((signal) => reads.users.listAddresses({ id }, { signal }), [id]);
	return (
		<Panel title="Addresses">
			<Loaded of={found}>
				{(addresses) =>
					addresses.length === 0 ? (
						<p class="muted">No address is saved.</p>
					) : (
						<ul class="addresses">
							{addresses.map((address) => (
								<li key={address.id}>
									<Address of={address} />
									{address.is_default_shipping && <Badge>default for shipping</Badge>}{" "}
									{address.is_default_billing && <Badge>default for billing</Badge>}
								</li>
							))}
						</ul>
					)
				}
			</Loaded>
		</Panel>
	);
}
