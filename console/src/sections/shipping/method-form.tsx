import { reads, shop } from "../../api.ts";
import { DeleteButton } from "../../components/action-button.tsx";
import { DecimalField, Form, TextField } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Rows } from "../../components/rows.tsx";
import { Empty, Loaded } from "../../components/states.tsx";
import { toast } from "../../components/toast.tsx";
import { useData } from "../../data.ts";
import { atInputs, changedFields, textOf } from "../../form-values.ts";
import { navigate } from "../../router.ts";
import { inputOf, type Method, readMethod, type Tier } from "./method-values.ts";

const LIST = "/shipping";
const MAX_TIERS = 50;
const rejectAtInputs = atInputs(inputOf);

/** A form that creates a shipping method. */
export function NewMethod() {
	const submit = async (values: FormData) => {
		const params = { code: textOf(values, "code"), ...readMethod(values) };
		const { name } = await shop.shipping.createMethod(params).catch(rejectAtInputs);
		toast(`${name} is created.`);
		navigate(LIST, { replace: true });
	};
	return (
		<Page title="New shipping method">
			<div class="panel">
				<Form action="Create shipping method" submit={submit} onCancel={() => navigate(LIST)}>
					<TextField
						label="Code"
						name="code"
						hint="Identifies the method: small letters, digits, _ and -, such as standard"
						required
					/>
					<MethodFields />
				</Form>
			</div>
		</Page>
	);
}

/** A form that changes a shipping method. */
export function EditMethod({ code }: { code: string }) {
	const found = useData((signal) => reads.shipping.methods({}, { signal }), [code]);
	const method = found.data?.find((one) => one.code === code);
	return (
		<Page
			title={method?.name ?? "Shipping method"}
			actions={method && <RemoveButton method={method} />}
		>
			<Loaded of={found}>
				{() => (method ? <EditForm method={method} /> : <Empty>No method has this code.</Empty>)}
			</Loaded>
		</Page>
	);
}

function RemoveButton({ method: { code, name } }: { method: Method }) {
	const remove = async () => {
		await shop.shipping.removeMethod({ code });
		navigate(LIST, { replace: true });
	};
	return (
		<DeleteButton
			kind="shipping method"
			name={name}
			effect={`Buyers can no longer choose ${name}. Orders keep their method and price.`}
			remove={remove}
		/>
	);
}

/** Sends only the fields that differ, so that concurrent changes of others remain. */
function EditForm({ method }: { method: Method }) {
	const leave = () => navigate(LIST, { replace: true });
	const submit = async (values: FormData) => {
		const changes = changedFields(method, readMethod(values));
		if (Object.keys(changes).length > 0) {
			await shop.shipping.updateMethod({ code: method.code, ...changes }).catch(rejectAtInputs);
			toast("The shipping method is saved.");
		} else toast("Nothing has changed.");
		leave();
	};
	return (
		<div class="panel">
			<Form action="Save" submit={submit} onCancel={leave}>
				<MethodFields method={method} />
			</Form>
		</div>
	);
}

const BLANK_TIER: Partial<Tier> = {};

const MethodFields = ({ method }: { method?: Method }) => (
	<>
		<TextField label="Name" name="name" value={method?.name} required />
		<TextField
			label="Countries"
			name="countries"
			value={method?.countries.join(", ") ?? "*"}
			hint="Codes such as DE, AT; or * for every country"
			required
		/>
		<div class="columns">
			<DecimalField label="Price" name="price" value={method?.price} required />
			<TextField label="Currency" name="currency" value={method?.currency ?? "EUR"} required />
			<DecimalField
				label="Free from"
				name="free_from"
				value={method?.free_from ?? ""}
				hint="Subtotal before discounts. Blank: never"
			/>
			<TextField
				label="Position"
				name="position"
				type="number"
				min={0}
				value={method?.position ?? 0}
				hint="Lower ones come first"
				required
			/>
		</div>
		<Rows
			legend="Tiers"
			item="tier"
			initial={method?.tiers ?? []}
			blank={BLANK_TIER}
			max={MAX_TIERS}
			hint="The first tier whose limits the cart does not exceed replaces the price above."
			ordered
		>
			{(tier: Partial<Tier>, position) => (
				<>
					<DecimalField
						label="Up to subtotal"
						name={`tiers[${position}].up_to_subtotal`}
						value={tier.up_to_subtotal}
					/>
					<DecimalField
						label="Up to weight (g)"
						name={`tiers[${position}].up_to_weight`}
						value={tier.up_to_weight}
					/>
					<DecimalField
						label="Price"
						name={`tiers[${position}].price`}
						value={tier.price}
						required
					/>
				</>
			)}
		</Rows>
	</>
);
