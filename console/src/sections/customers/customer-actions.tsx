import { shop } from "../../api.ts";
import { ActionButton } from "../../components/action-button.tsx";
import { user as self } from "../../session.ts";
import type { User } from "./user.ts";

interface CustomerActionsProps {
	readonly user: User;
	onChange(): void;
}
/** Buttons for changes of the role and state. Administrators cannot lock themselves out. */
export function CustomerActions({ user, onChange }: CustomerActionsProps) {
	const { id, full_name, role, is_active } = user;
	if (id === self.value?.id)
		return (
			<span class="muted">
				This is your own account: another administrator can change its role or deactivate it.
			</span>
		);
	const other = role === "admin" ? "user" : "admin";
	return (
		<>
			<ActionButton
				act={() => shop.users.update({ id, role: other })}
				done={
					other === "admin"
						? `${full_name} is an administrator now.`
						: `${full_name} is a customer now.`
				}
				confirm={
					other === "admin"
						? {
								title: "Make this account an administrator?",
								text:
									`${full_name} will see and change all data of the shop, ` +
									"and can change your account.",
								action: "Make administrator",
							}
						: {
								title: "Remove the administrator role?",
								text: `${full_name} will be a customer and can no longer use the console.`,
								action: "Make customer",
							}
				}
				onSettled={onChange}
			>
				{other === "admin" ? "Make administrator …" : "Make customer …"}
			</ActionButton>
			<ActionButton
				act={() => shop.users.update({ id, is_active: !is_active })}
				done={is_active ? "The account is deactivated." : "The account is active again."}
				confirm={
					is_active
						? {
								title: "Deactivate this account?",
								text:
									`${full_name} is signed out everywhere and can no longer sign in. ` +
									"Orders are not affected, and you can activate the account again.",
								action: "Deactivate",
							}
						: {
								title: "Activate this account?",
								text: `${full_name} can sign in and order again.`,
								action: "Activate",
								harmless: true,
							}
				}
				onSettled={onChange}
			>
				{is_active ? "Deactivate …" : "Activate …"}
			</ActionButton>
		</>
	);
}
