import { useState } from "preact/hooks";
import { reads } from "../../api.ts";
import { DecimalField, SelectField, TextArea, TextField } from "../../components/form.tsx";
import { Rows } from "../../components/rows.tsx";
import { useData } from "../../data.ts";
import { categoryChoices } from "./filters.ts";
import { type AttributeRow, attributeRows, KINDS, type Product } from "./product-values.ts";

/** Limits of the catalogue. */
const MAX_ATTRIBUTES = 50;
const MAX_IMAGES = 20;
const BLANK_ATTRIBUTE: AttributeRow = { name: "", kind: "text", value: "" };
const CATEGORIES = "categories";

interface ProductFieldsProps {
	/** Current values; those of a new product are blank. */
	readonly product?: Product;
	/** A variant inherits fields that stay blank. */
	readonly inherits?: boolean;
}
/** Fields that products and variants have in common. */
export function ProductFields({ product, inherits = false }: ProductFieldsProps) {
	const hint = inherits ? "Blank: that of the product" : "";
	return (
		<>
			<TextField label="Name" name="name" value={product?.name} hint={hint} required={!inherits} />
			<div class="columns">
				<DecimalField
					label="Price"
					name="price"
					value={product?.price}
					hint={hint}
					required={!inherits}
				/>
				<TextField
					label="Currency"
					name="currency"
					value={product?.currency ?? (inherits ? "" : "EUR")}
					hint={hint || "ISO 4217 code, such as EUR"}
					required={!inherits}
				/>
				<TextField label="SKU" name="sku" value={product?.sku ?? ""} />
			</div>
			<TextField
				label="Category"
				name="category"
				list={CATEGORIES}
				value={product?.category}
				hint={hint || "Levels are separated by slashes: Kitchen/Knives"}
				required={!inherits}
			/>
			<Categories />
			<TextArea
				label="Description"
				name="description"
				value={product?.description ?? ""}
				hint={hint}
			/>
			<Rows
				legend="Attributes"
				item="attribute"
				initial={attributeRows(product?.attributes ?? {})}
				blank={BLANK_ATTRIBUTE}
				max={MAX_ATTRIBUTES}
				hint={inherits && "Without attributes: those of the product"}
			>
				{(row, position) => <Attribute row={row} name={`attributes[${position}]`} />}
			</Rows>
			<Rows
				legend="Images"
				item="image"
				initial={product?.images ?? []}
				blank={{ url: "", alt: "" }}
				max={MAX_IMAGES}
				hint={inherits && "Without images: those of the product"}
				ordered
			>
				{({ url, alt }, position) => (
					<>
						<TextField label="Address" name={`images[${position}].url`} value={url} required />
						<TextField label="Description" name={`images[${position}].alt`} value={alt} />
					</>
				)}
			</Rows>
		</>
	);
}

function Attribute({ row, name }: { row: AttributeRow; name: string }) {
	const [kind, setKind] = useState<string>(row.kind);
	const value = { label: "Value", name: `${name}.value`, value: row.value };
	return (
		<>
			<TextField label="Name" name={`${name}.name`} value={row.name} required />
			<SelectField
				label="Type"
				name={`${name}.kind`}
				value={row.kind}
				choices={KINDS}
				onChange={setKind}
			/>
			{kind === "boolean" ? (
				<SelectField key="choice" {...value} choices={{ true: "Yes", false: "No" }} />
			) : (
				<TextField
					key="text"
					{...value}
					type={kind === "number" ? "number" : "text"}
					step="any"
					hint={kind === "list" ? "Values separated by |, or a JSON array" : ""}
					required
				/>
			)}
		</>
	);
}

/** Suggests the present categories. Without them, any category can be entered. */
function Categories() {
	const { data = [] } = useData((signal) => reads.products.categories({}, { signal }), []);
	return (
		<datalist id={CATEGORIES}>
			{Object.keys(categoryChoices(data)).map((path) => (
				<option key={path} value={path} />
			))}
		</datalist>
	);
}

/** Stock of a new product. */
export const StockField = () => (
	<TextField label="Stock on hand" name="stock" type="number" min={0} value={0} required />
);

/** Names of the options in which the variants of a product differ. */
export const OptionNames = ({ value }: { value: readonly string[] | null }) => (
	<TextField
		label="Options of variants"
		name="option_names"
		value={value?.join(", ")}
		hint="For a product with variants: names separated by commas, such as size, color"
	/>
);

/** Options of a variant. @param options current values */
export const OptionFields = ({
	names,
	options = {},
}: {
	names: readonly string[];
	options?: Readonly<Record<string, string>>;
}) => (
	<fieldset>
		<legend>Options</legend>
		<div class="columns">
			{names.map((name) => (
				<TextField
					key={name}
					label={name}
					name={`options.${name}`}
					value={options[name]}
					required
				/>
			))}
		</div>
	</fieldset>
);
