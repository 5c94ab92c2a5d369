import { useState } from "preact/hooks";
import { isProblem } from "../../../../clients/typescript/src/index.ts";
import { reads, shop } from "../../api.ts";
import { confirmed } from "../../components/dialog.tsx";
import { DecimalField, Form, TextField } from "../../components/form.tsx";
import { Page, Panel } from "../../components/page.tsx";
import { Rows } from "../../components/rows.tsx";
import { Loaded } from "../../components/states.tsx";
import { toast } from "../../components/toast.tsx";
import { useData } from "../../data.ts";
import { percentOf } from "../../format.ts";
import { atRows, type Rate, rateChanges, readRates } from "./rate-values.ts";

const MAX_RATES = 2000;
const BLANK: Partial<Rate> = {};

interface Version {
	readonly rates: readonly Rate[];
	readonly etag: string | undefined;
}
const load = async (signal?: AbortSignal): Promise<Version> => {
	const { value, etag } = await reads.tax.rates({}, signal ? { signal } : {}).withResponse();
	return { rates: value, etag };
};

/** The table of tax rates, which is edited as a whole. */
export function RateTable() {
	const found = useData(load, []);
	return (
		<Page title="Tax">
			<Loaded of={found}>
				{(version) => <RateForm key={version.etag} version={version} onSaved={found.reload} />}
			</Loaded>
		</Page>
	);
}

interface RateFormProps {
	readonly version: Version;
	onSaved(): void;
}
function RateForm({ version, onSaved }: RateFormProps) {
	/** Table that another user has saved since. The input replaces it. */
	const [newer, setNewer] = useState<Version>();
	const { etag } = newer ?? version;
	const submit = async (values: FormData) => {
		const rates = readRates(values);
		if (rates.length === 0 && version.rates.length > 0 && !(await confirmed(REMOVE_ALL))) return;
		try {
			await shop.tax.setRates({ rates }, etag === undefined ? {} : { ifMatch: etag });
		} catch (error) {
			if (!isProblem(error, "PRECONDITION_FAILED")) throw atRows(error);
			setNewer(await load());
			throw new Error(
				"Another user has changed the rates in the meantime. Your input is not saved yet",
			);
		}
		toast("The tax rates are saved.");
		onSaved();
	};
	return (
		<Panel title="Rates">
			<p>
				A rate of a region precedes those of its whole country, and then the rate of the narrowest
				category precedes that of all products. Without rates, orders are not taxed.
			</p>
			<Form action="Save all rates" submit={submit}>
				<Rows
					legend="Rates by country"
					item="rate"
					initial={version.rates}
					blank={BLANK}
					max={MAX_RATES}
					compact
				>
					{(rate: Partial<Rate>, position) => <RateFields rate={rate} name={`[${position}]`} />}
				</Rows>
				{newer && <Conflict before={version.rates} after={newer.rates} />}
			</Form>
		</Panel>
	);
}
const REMOVE_ALL = {
	title: "Remove all tax rates?",
	text: "Without rates, new orders are not taxed.",
	action: "Remove all",
};

const MAX_CHANGES = 20;

/** Lists the changes of another user, which the input replaces. */
function Conflict({ before, after }: { before: readonly Rate[]; after: readonly Rate[] }) {
	const { added, removed } = rateChanges(before, after);
	const changes = [
		...added.map((rate) => `Added: ${rate}`),
		...removed.map((rate) => `Removed: ${rate}`),
	];
	const hidden = changes.length - MAX_CHANGES;
	return (
		<div class="notice">
			<p>Another user has saved these changes. When you save again, your table replaces them:</p>
			<ul class="notice-list">
				{changes.slice(0, MAX_CHANGES).map((change) => (
					<li key={change}>{change}</li>
				))}
			</ul>
			{hidden > 0 && <p>and {hidden} more</p>}
		</div>
	);
}

const RateFields = ({ rate, name }: { rate: Partial<Rate>; name: string }) => (
	<>
		<TextField label="Country" name={`${name}.country`} value={rate.country} required />
		<TextField label="Region" name={`${name}.region`} value={rate.region ?? ""} />
		<TextField label="Category" name={`${name}.category`} value={rate.category ?? ""} />
		<TextField label="Name" name={`${name}.name`} value={rate.name} required />
		<DecimalField
			label="Percent"
			name={`${name}.rate`}
			max={100}
			value={rate.rate === undefined ? "" : percentOf(rate.rate)}
			required
		/>
	</>
);
