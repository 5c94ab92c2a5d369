import { useEffect, useId, useState } from "preact/hooks";
import type { ResultOf } from "../../../clients/typescript/src/index.ts";
import { reads } from "../api.ts";
import { useData } from "../data.ts";
import { Loaded } from "./states.tsx";
import { Link } from "./values.tsx";

/** A product or variant that can be ordered. */
interface ChosenProduct {
	readonly id: string;
	readonly name: string;
	readonly options: Readonly<Record<string, string>> | null;
}
interface ProductSearchProps {
	readonly label: string;
	/** IDs that are chosen already. */
	readonly chosen: readonly string[];
	onChoose(product: ChosenProduct): void;
}
type Product = ResultOf<"products.list">[number];

const TYPING_MS = 300;
const MAX_RESULTS = 8;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Finds products by words or ID, to choose them and their variants. */
export function ProductSearch({ label, chosen, onChoose }: ProductSearchProps) {
	const id = useId();
	const [text, setText] = useState("");
	const [q, setQ] = useState("");
	useEffect(() => {
		const timer = setTimeout(() => setQ(text.trim()), TYPING_MS);
		return () => clearTimeout(timer);
	}, [text]);
	const found = useData(
		async (signal) => {
			if (q === "") return [];
			if (UUID.test(q)) return [await reads.products.get({ id: q.toLowerCase() }, { signal })];
			return reads.products.list({ q, limit: MAX_RESULTS }, { signal });
		},
		[q],
	);
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<input
				id={id}
				type="search"
				autocomplete="off"
				placeholder="Name, SKU or ID"
				onInput={({ currentTarget }) => setText(currentTarget.value)}
				onKeyDown={(event) => {
					// Enter would submit the form around the search.
					if (event.key === "Enter") event.preventDefault();
				}}
			/>
			{q !== "" && (
				<Loaded of={found}>
					{(products) => (
						<ul class="choices" aria-label="Products found">
							{products.length === 0 && <li>No product matches.</li>}
							{products.map((product) => (
								<Result key={product.id} {...{ product, chosen, onChoose }} />
							))}
						</ul>
					)}
				</Loaded>
			)}
		</div>
	);
}

/** Name of a product, with the options of a variant. */
const nameOf = ({ name, options }: ChosenProduct): string =>
	options ? `${name} (${Object.values(options).join(", ")})` : name;

interface ResultProps extends Pick<ProductSearchProps, "chosen" | "onChoose"> {
	readonly product: Product;
}
function Result({ product, chosen, onChoose }: ResultProps) {
	const [isOpen, setOpen] = useState(false);
	const name = nameOf(product);
	if (product.variant_count > 0)
		return (
			<>
				<li>
					{name}
					<button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
						Variants<span class="hidden"> of {name}</span>
					</button>
				</li>
				{isOpen && <VariantResults {...{ product, chosen, onChoose }} />}
			</>
		);
	const isChosen = chosen.includes(product.id);
	return (
		<li>
			<span>
				{name} {product.sku && <span class="muted">{product.sku}</span>}
			</span>
			<button
				type="button"
				aria-label={`Add ${name}`}
				aria-disabled={isChosen}
				onClick={() => !isChosen && onChoose(product)}
			>
				{isChosen ? "Added" : "Add"}
			</button>
		</li>
	);
}

function VariantResults({ product: { id }, ...choice }: ResultProps) {
	const found = useData((signal) => reads.products.get({ id }, { signal }), [id]);
	return (
		<Loaded of={found}>
			{({ variants }) => (
				<>
					{variants.map((variant) => (
						<Result key={variant.id} product={variant} {...choice} />
					))}
				</>
			)}
		</Loaded>
	);
}

/** Name of the product with an ID, as a link. Shows the ID while the name is not known. */
export function ProductName({ id }: { id: string }) {
	const { data, error } = useData((signal) => reads.products.get({ id }, { signal }), [id]);
	if (data) return <Link to={`/products/${id}`}>{nameOf(data)}</Link>;
	return (
		<span>
			<code>{id}</code> {error !== undefined && <span class="muted">(name not available)</span>}
		</span>
	);
}
