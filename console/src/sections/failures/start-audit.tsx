import { isProblem } from "../../../../clients/typescript/src/index.ts";
import { shop } from "../../api.ts";
import { Dialog } from "../../components/dialog.tsx";
import { Form, TextField } from "../../components/form.tsx";
import { toast } from "../../components/toast.tsx";
import { navigate } from "../../router.ts";

/** Dialog that starts an audit, and opens its page, or that of the running one. */
export function StartAudit({ onClose }: { onClose(): void }) {
	const submit = async (values: FormData) => {
		const since = String(values.get("since"));
		const params = since ? { since: new Date(since).toISOString() } : {};
		try {
			const { id } = await shop.orders.startAudit(params);
			navigate(`/audits/${id}`);
		} catch (error) {
			const running = isProblem(error, "AUDIT_RUNNING") && error.data.audit_id;
			if (typeof running !== "string") throw error;
			toast("Another audit is running. This is its progress.");
			navigate(`/audits/${running}`);
		}
	};
	return (
		<Dialog title="Start an audit" onClose={onClose}>
			<Form action="Start" submit={submit} onCancel={onClose}>
				<TextField
					label="Orders placed since"
					name="since"
					type="datetime-local"
					hint="Empty: all orders. Orders with a recent change are skipped."
				/>
			</Form>
		</Dialog>
	);
}
