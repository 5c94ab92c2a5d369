import { useState } from "preact/hooks";
import { idempotencyKeys, reads, shop } from "../../api.ts";
import { DeleteButton } from "../../components/action-button.tsx";
import { Form } from "../../components/form.tsx";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { toast } from "../../components/toast.tsx";
import { Money, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { atInputs, changedFields } from "../../form-values.ts";
import { formatNumber } from "../../format.ts";
import { href, navigate } from "../../router.ts";
import { PromotionFields } from "./promotion-fields.tsx";
import { State } from "./promotion-list.tsx";
import { inputOf, type Promotion, readPromotion } from "./promotion-values.ts";

const LIST = "/promotions";
const rejectAtInputs = atInputs(inputOf);

/** A form that creates a promotion. */
export function NewPromotion() {
	const [keyOf] = useState(idempotencyKeys);
	const [products, setProducts] = useState<readonly string[]>([]);
	const submit = async (values: FormData) => {
		const params = readPromotion(values, products);
		const { id, name } = await shop.promotions
			.create(params, { idempotencyKey: keyOf(params) })
			.catch(rejectAtInputs);
		toast(`${name} is created.`);
		navigate(`${LIST}/${id}`, { replace: true });
	};
	return (
		<Page title="New promotion">
			<div class="panel">
				<Form action="Create promotion" submit={submit} onCancel={() => navigate(LIST)}>
					<PromotionFields products={products} setProducts={setProducts} />
				</Form>
			</div>
		</Page>
	);
}

/** A promotion with its uses, and a form that changes it. */
export function EditPromotion({ id }: { id: string }) {
	const found = useData((signal) => reads.promotions.get({ id }, { signal }), [id]);
	return (
		<Page
			title={found.data?.name ?? "Promotion"}
			actions={found.data && <Actions promotion={found.data} />}
		>
			<Loaded of={found}>
				{(promotion) => (
					<>
						<Uses promotion={promotion} />
						<EditForm key={promotion.updated_at} promotion={promotion} onSaved={found.reload} />
					</>
				)}
			</Loaded>
		</Page>
	);
}

function Actions({ promotion: { id, name, code } }: { promotion: Promotion }) {
	const remove = async () => {
		await shop.promotions.remove({ id });
		navigate(LIST, { replace: true });
	};
	return (
		<>
			<a class="button" href={href(code ? `/preview?coupon=${code}` : "/preview")}>
				Preview prices
			</a>
			<DeleteButton
				kind="promotion"
				name={name}
				effect={`${name} no longer applies. Orders that already use it keep their discount.`}
				remove={remove}
			/>
		</>
	);
}

function Uses({ promotion }: { promotion: Promotion }) {
	const { used, usage_limit, spent, budget, currency, created_at, updated_at } = promotion;
	const limit = usage_limit === null ? "" : ` of ${formatNumber(usage_limit)}`;
	return (
		<Panel title="Use">
			<Facts
				rows={{
					State: <State promotion={promotion} />,
					Used: `${formatNumber(used)}${limit} orders`,
					Spent: (
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
					Created: <Time at={created_at} />,
					Changed: <Time at={updated_at} />,
				}}
			/>
		</Panel>
	);
}

interface EditFormProps {
	readonly promotion: Promotion;
	onSaved(): void;
}
/** Sends only the fields that differ, so that concurrent changes of others remain. */
function EditForm({ promotion, onSaved }: EditFormProps) {
	const { id } = promotion;
	const [products, setProducts] = useState<readonly string[]>(
		promotion.conditions.product_ids ?? [],
	);
	const submit = async (values: FormData) => {
		const changes = changedFields(promotion, readPromotion(values, products, promotion));
		if (Object.keys(changes).length === 0) return toast("Nothing has changed.");
		await shop.promotions.update({ id, ...changes }).catch(rejectAtInputs);
		toast("The promotion is saved.");
		onSaved();
	};
	return (
		<Panel title="Settings">
			<Form action="Save" submit={submit}>
				<PromotionFields promotion={promotion} products={products} setProducts={setProducts} />
			</Form>
		</Panel>
	);
}
