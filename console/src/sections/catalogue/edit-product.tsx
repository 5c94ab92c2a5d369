import { useState } from "preact/hooks";
import { isProblem } from "../../../../clients/typescript/src/index.ts";
import { reads, shop } from "../../api.ts";
import { CheckboxField, Form } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { toast } from "../../components/toast.tsx";
import { useData } from "../../data.ts";
import { changedFields } from "../../form-values.ts";
import { navigate } from "../../router.ts";
import { rejectedInputs } from "./new-product.tsx";
import { OptionFields, OptionNames, ProductFields } from "./product-fields.tsx";
import {
	differences,
	INHERITED,
	LABELS,
	type Product,
	readFields,
	readOptionNames,
	readOptions,
	withInherited,
} from "./product-values.ts";

/** A product with the ETag of its version. */
export interface Version {
	readonly product: Product;
	readonly etag: string | undefined;
}
export async function loadVersion(id: string, signal?: AbortSignal): Promise<Version> {
	const options = signal ? { signal } : {};
	const { value, etag } = await reads.products.get({ id }, options).withResponse();
	return { product: value, etag };
}

/** A form that changes a product or a variant. */
export function EditProduct({ id }: { id: string }) {
	const found = useData((signal) => loadVersion(id, signal), [id]);
	return (
		<Page title={found.data ? `Edit ${found.data.product.name}` : "Edit product"}>
			<Loaded of={found}>{(version) => <EditForm loaded={version} />}</Loaded>
		</Page>
	);
}

/** Sends only the fields that differ from the loaded version, so that other changes remain. */
function EditForm({ loaded: { product, etag } }: { loaded: Version }) {
	const { id, parent_id, options, option_names, variant_count } = product;
	/** Version that another user has saved since. */
	const [newer, setNewer] = useState<Version>();
	const leave = () => navigate(`/products/${id}`, { replace: true });

	const submit = async (values: FormData) => {
		const changes = withInherited(values, changedFields(product, readChanges(values, product)));
		if (Object.keys(changes).length === 0) {
			toast("Nothing has changed.");
			return leave();
		}
		const ifMatch = (newer ?? { etag }).etag;
		try {
			await shop.products.update({ id, ...changes }, ifMatch === undefined ? {} : { ifMatch });
		} catch (error) {
			if (!isProblem(error, "PRECONDITION_FAILED")) return rejectedInputs(values)(error);
			setNewer(await loadVersion(id));
			throw new Error(
				"Another user has changed the product in the meantime. Your input is not saved yet",
			);
		}
		toast("The product is saved.");
		leave();
	};
	return (
		<div class="panel">
			<Form action="Save" submit={submit} onCancel={leave}>
				{options && <OptionFields names={Object.keys(options)} options={options} />}
				<ProductFields product={product} />
				{parent_id && <Inheritance />}
				{!parent_id && variant_count === 0 && <OptionNames value={option_names} />}
				{newer && <Conflict before={product} after={newer.product} />}
			</Form>
		</div>
	);
}

/** Fields of the form that an update may contain. */
function readChanges(values: FormData, { options, parent_id, variant_count }: Product) {
	const { price, ...fields } = readFields(values);
	return {
		...fields,
		...(price === undefined ? {} : { price }),
		...(options ? { options: readOptions(values, Object.keys(options)) } : {}),
		...(!parent_id && variant_count === 0 ? { option_names: readOptionNames(values) } : {}),
	};
}

/** Selects fields of a variant that follow its product again. */
const Inheritance = () => (
	<fieldset>
		<legend>Inherit from the product again</legend>
		<div class="columns">
			{INHERITED.map((field) => (
				<CheckboxField key={field} label={LABELS[field]!} name={`inherit.${field}`} />
			))}
		</div>
	</fieldset>
);

/** Lists the changes of another user, which the input may overwrite. */
function Conflict({ before, after }: { before: Product; after: Product }) {
	const changes = differences(before, after);
	return (
		<div class="notice">
			<p>
				{changes.length > 0
					? "Another user has saved these changes. Fields that you have edited " +
						"as well get your values when you save again; the others keep these:"
					: "Another user has changed the variants of the product. " +
						"Save again to keep both changes."}
			</p>
			<ul class="notice-list">
				{changes.map(({ field, from, to }) => (
					<li key={field}>
						{LABELS[field]}: {to} (before: {from})
					</li>
				))}
			</ul>
		</div>
	);
}
