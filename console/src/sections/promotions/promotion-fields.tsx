import { useState } from "preact/hooks";
import {
	CheckboxField,
	DecimalField,
	SelectField,
	TextArea,
	TextField,
} from "../../components/form.tsx";
import { ProductName, ProductSearch } from "../../components/product-search.tsx";
import { localTime } from "../../form-values.ts";
import { type Effect, KINDS, type Kind, type Promotion } from "./promotion-values.ts";

const COUNT = { type: "number", min: 1 } as const;
const MAX_PRODUCTS = 100;

interface PromotionFieldsProps extends ProductsProps {
	/** Current values; those of a new promotion are blank. */
	readonly promotion?: Promotion;
}
/** Fields of a promotion. */
export function PromotionFields({ promotion, ...products }: PromotionFieldsProps) {
	return (
		<>
			<div class="columns">
				<TextField label="Name" name="name" value={promotion?.name} required />
				<TextField
					label="Code"
					name="code"
					value={promotion?.code ?? ""}
					hint="Buyers enter it. Blank: the promotion applies automatically"
				/>
			</div>
			<EffectFields effect={promotion?.effect} currency={promotion?.currency ?? "EUR"} />
			<Period promotion={promotion} />
			<Conditions promotion={promotion} {...products} />
			<Limits promotion={promotion} />
			<div class="columns">
				<TextField
					label="Priority"
					name="priority"
					type="number"
					value={promotion?.priority ?? 0}
					hint="Higher ones apply first"
				/>
				<CheckboxField
					label="Can be combined with other promotions"
					name="combinable"
					checked={promotion?.combinable ?? true}
				/>
			</div>
		</>
	);
}

function EffectFields({ effect, currency }: { effect: Effect | undefined; currency: string }) {
	const [kind, setKind] = useState<string>(effect?.type ?? "percent_off");
	return (
		<fieldset>
			<legend>Effect</legend>
			<div class="columns">
				<SelectField
					label="Kind"
					name="effect.type"
					value={effect?.type ?? "percent_off"}
					choices={KINDS}
					onChange={(value) => setKind(value as Kind)}
				/>
				{(kind === "percent_off" || kind === "amount_off") && (
					<DecimalField
						key={kind}
						label={kind === "percent_off" ? "Percent" : "Amount"}
						name="effect.value"
						value={effect?.type === kind ? effect.value : ""}
						required
					/>
				)}
				{kind === "buy_x_get_y" && (
					<>
						<TextField label="Buy" name="effect.buy" {...COUNT} value={effect?.buy} required />
						<TextField
							label="Get free"
							name="effect.get"
							{...COUNT}
							value={effect?.get}
							hint="The cheapest pieces of buy + get"
							required
						/>
					</>
				)}
				<TextField
					label="Currency"
					name="currency"
					value={currency}
					hint="Of all amounts, such as EUR. It cannot change later"
					readOnly={effect !== undefined}
					required
				/>
			</div>
		</fieldset>
	);
}

interface SectionProps {
	readonly promotion: Promotion | undefined;
}
const Period = ({ promotion }: SectionProps) => (
	<fieldset>
		<legend>Period</legend>
		<div class="columns">
			{(["starts_at", "ends_at"] as const).map((name) => (
				<TextField
					key={name}
					label={name === "starts_at" ? "Starts" : "Ends"}
					name={name}
					type="datetime-local"
					step={1}
					value={localTime(promotion?.[name] ?? null)}
					hint={name === "starts_at" ? "Blank: at once" : "Blank: never"}
				/>
			))}
		</div>
	</fieldset>
);

const Limits = ({ promotion }: SectionProps) => (
	<fieldset>
		<legend>Limits</legend>
		<div class="columns">
			<TextField
				label="Uses"
				name="usage_limit"
				{...COUNT}
				value={promotion?.usage_limit ?? ""}
				hint="Number of orders. Blank: unlimited"
			/>
			<TextField
				label="Uses per customer"
				name="usage_limit_per_customer"
				{...COUNT}
				value={promotion?.usage_limit_per_customer ?? ""}
				hint="Blank: unlimited"
			/>
			<DecimalField
				label="Budget"
				name="budget"
				value={promotion?.budget ?? ""}
				hint="Maximum sum of all discounts. Blank: unlimited"
			/>
		</div>
	</fieldset>
);

interface ProductsProps {
	/** IDs of the products that the promotion discounts. */
	readonly products: readonly string[];
	setProducts(products: readonly string[]): void;
}
function Conditions({ promotion, products, setProducts }: SectionProps & ProductsProps) {
	const { min_subtotal, categories = [], first_order, user_ids = [] } = promotion?.conditions ?? {};
	return (
		<fieldset>
			<legend>Conditions</legend>
			<div class="columns">
				<DecimalField
					label="Minimum subtotal"
					name="conditions.min_subtotal"
					value={min_subtotal}
				/>
				<CheckboxField
					label="Only the first order of a customer"
					name="first_order"
					checked={first_order === true}
				/>
			</div>
			<div class="columns">
				<TextArea
					label="Categories"
					name="conditions.categories"
					value={categories.join("\n")}
					hint="One per line, each with its subcategories: Kitchen"
				/>
				<TextArea
					label="Accounts"
					name="conditions.user_ids"
					value={user_ids.join("\n")}
					hint="IDs of accounts that may use the promotion, one per line. Blank: everyone"
				/>
			</div>
			<Products products={products} setProducts={setProducts} />
		</fieldset>
	);
}

function Products({ products, setProducts }: ProductsProps) {
	return (
		<>
			<p class="hint">Without products and categories, the promotion applies to the whole order.</p>
			{products.length > 0 && (
				<ul class="choices" aria-label="Products of the promotion">
					{products.map((id) => (
						<li key={id}>
							<ProductName id={id} />
							<button
								type="button"
								aria-label={`Remove product ${id}`}
								onClick={() => setProducts(products.filter((one) => one !== id))}
							>
								×
							</button>
						</li>
					))}
				</ul>
			)}
			{products.length < MAX_PRODUCTS && (
				<ProductSearch
					label="Add products"
					chosen={products}
					onChoose={({ id }) => setProducts([...products, id])}
				/>
			)}
		</>
	);
}
