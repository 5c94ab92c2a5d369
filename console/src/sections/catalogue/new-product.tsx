import { useState } from "preact/hooks";
import { idempotencyKeys, reads, shop } from "../../api.ts";
import { Form } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { toast } from "../../components/toast.tsx";
import { Link } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { atInputs, numberOf } from "../../form-values.ts";
import { navigate } from "../../router.ts";
import { OptionFields, OptionNames, ProductFields, StockField } from "./product-fields.tsx";
import {
	definedFields,
	inputOf,
	type Product,
	readFields,
	readOptionNames,
	readOptions,
} from "./product-values.ts";

/** A form that creates a product. */
export function NewProduct() {
	const [keyOf] = useState(idempotencyKeys);
	const submit = async (values: FormData) => {
		const { price = 0, ...fields } = readFields(values);
		const params = {
			...fields,
			price,
			option_names: readOptionNames(values),
			stock: numberOf(values, "stock") ?? 0,
		};
		const { id, name } = await shop.products
			.create(params, { idempotencyKey: keyOf(params) })
			.catch(rejectedInputs(values));
		toast(`${name} is created.`);
		navigate(`/products/${id}`, { replace: true });
	};
	return (
		<Page title="New product">
			<div class="panel">
				<Form action="Create product" submit={submit} onCancel={() => navigate("/products")}>
					<ProductFields />
					<OptionNames value={null} />
					<StockField />
				</Form>
			</div>
		</Page>
	);
}

/** A form that creates a variant of a product. */
export function NewVariant({ id }: { id: string }) {
	const found = useData((signal) => reads.products.get({ id }, { signal }), [id]);
	return (
		<Page title={found.data ? `New variant of ${found.data.name}` : "New variant"}>
			<Loaded of={found}>
				{(product) =>
					product.option_names ? (
						<VariantForm product={product} names={product.option_names} />
					) : (
						<p>
							The product has no options in which variants differ.{" "}
							<Link to={`/products/${id}/edit`}>Add options to the product</Link>
						</p>
					)
				}
			</Loaded>
		</Page>
	);
}

function VariantForm({ product: { id }, names }: { product: Product; names: readonly string[] }) {
	const [keyOf] = useState(idempotencyKeys);
	const submit = async (values: FormData) => {
		const params = {
			id,
			options: readOptions(values, names),
			stock: numberOf(values, "stock") ?? 0,
			...definedFields(readFields(values)),
		};
		await shop.products
			.createVariant(params, { idempotencyKey: keyOf(params) })
			.catch(rejectedInputs(values));
		toast("The variant is created.");
		navigate(`/products/${id}`, { replace: true });
	};
	return (
		<div class="panel">
			<Form action="Create variant" submit={submit} onCancel={() => navigate(`/products/${id}`)}>
				<OptionFields names={names} />
				<StockField />
				<ProductFields inherits />
			</Form>
		</div>
	);
}

/** Rejects with the errors of a request at the inputs of its form. */
export const rejectedInputs = (values: FormData) => atInputs((field) => inputOf(values, field));
