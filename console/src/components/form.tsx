import { type ComponentChildren, type ComponentProps, createContext } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isProblem } from "../../../clients/typescript/src/index.ts";
import { messageOf } from "../api.ts";
import { query, setQuery } from "../router.ts";

/** Messages by field of the last rejected request. */
const Errors = createContext<Readonly<Record<string, string>>>({});

interface FormProps {
	/** Label of the button that submits. */
	readonly action: string;
	/** Sends the form. Rejects to show the error, with messages beside the fields they concern. */
	submit(values: FormData): PromiseLike<unknown>;
	/** Adds a button that leaves the form. */
	onCancel?(): void;
	/** Label of that button. */
	readonly cancel?: string;
	/** The action is destructive. */
	readonly danger?: boolean;
	readonly children: ComponentChildren;
}
/** A form with its buttons and errors. Fields keep their input after an error. */
export function Form({
	action,
	submit,
	onCancel,
	cancel = "Cancel",
	danger = false,
	children,
}: FormProps) {
	const [error, setError] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const form = useRef<HTMLFormElement>(null);
	const errors = fieldErrorsOf(error);
	const [others, setOthers] = useState<readonly string[]>([]);
	useLayoutEffect(() => {
		// After the fields have rendered, and before the errors are visible.
		queueMicrotask(() => {
			if (error) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
			setOthers(
				Object.keys(errors)
					.filter((field) => field === "" || !form.current?.elements.namedItem(field))
					.map((field) => errors[field]!),
			);
		});
	}, [error]);
	const onSubmit = async (event: SubmitEvent) => {
		event.preventDefault();
		if (busy) return;
		setBusy(true);
		setError(undefined);
		try {
			await submit(new FormData(form.current!));
		} catch (failure) {
			setError(failure);
		}
		setBusy(false);
	};
	return (
		<form ref={form} onSubmit={onSubmit}>
			<Errors.Provider value={errors}>{children}</Errors.Provider>
			{error !== undefined && (
				<div class="problem" role="alert">
					<p>{messageOf(error)}</p>
					{/* Errors that no field shows. */}
					{others.map((message) => (
						<p key={message}>{message}</p>
					))}
				</div>
			)}
			<div class="buttons">
				{onCancel && (
					<button type="button" onClick={onCancel}>
						{cancel}
					</button>
				)}
				<button type="submit" class={danger ? "danger" : "primary"} aria-disabled={busy}>
					{action}
				</button>
			</div>
		</form>
	);
}

function fieldErrorsOf(error: unknown): Record<string, string> {
	if (!isProblem(error)) return {};
	return Object.fromEntries(error.errors.map(({ field, message }) => [field, message]));
}

interface FieldProps {
	readonly label: string;
	/** Name in the form, and of the parameter whose errors it shows. */
	readonly name: string;
	readonly hint?: string;
	readonly required?: boolean;
}
interface Control {
	readonly id: string;
	readonly name: string;
	readonly required: boolean;
	readonly "aria-invalid": boolean;
	readonly "aria-describedby": string;
}
/** A label with its control, hint and error. */
function Field({
	label,
	name,
	hint,
	required = false,
	children,
}: FieldProps & { children(control: Control): ComponentChildren }) {
	const id = useId();
	const error = useContext(Errors)[name];
	const control = {
		id,
		name,
		required,
		"aria-invalid": error !== undefined,
		"aria-describedby": `${id}-hint`,
	};
	return (
		<div class="field">
			<label for={id}>{label}</label>
			{children(control)}
			<div id={`${id}-hint`} class={error ? "problem" : "hint"}>
				{error ?? hint}
			</div>
		</div>
	);
}

interface TextFieldProps extends FieldProps {
	readonly value?: string | number | undefined;
	readonly type?: "text" | "email" | "password" | "number" | "date" | "datetime-local" | "search";
	readonly autocomplete?: string;
	readonly min?: number | string;
	readonly max?: number | string;
	readonly step?: number | string;
	/** ID of a `datalist` with suggestions. */
	readonly list?: string | undefined;
	readonly readOnly?: boolean;
}
export function TextField({
	value = "",
	type = "text",
	autocomplete = "off",
	min,
	max,
	step,
	list,
	readOnly = false,
	...field
}: TextFieldProps) {
	// The types of Preact do not allow a variable type.
	const input = { type, autocomplete, min, max, step, list, readOnly, defaultValue: String(value) };
	return (
		<Field {...field}>
			{(control) => <input {...control} {...(input as ComponentProps<"input">)} />}
		</Field>
	);
}

/** A field for a number that is not negative and can have decimals. */
export const DecimalField = (props: TextFieldProps) => (
	<TextField type="number" min={0} step="any" {...props} />
);

export const TextArea = ({
	value = "",
	rows = 4,
	...field
}: FieldProps & { value?: string; rows?: number }) => (
	<Field {...field}>
		{(control) => <textarea {...control} rows={rows} defaultValue={value} />}
	</Field>
);

/** Values with their labels. */
export type Choices = Readonly<Record<string, string>>;
const optionsOf = (choices: Choices, selected: string) =>
	Object.entries(choices).map(([value, label]) => (
		<option key={value} value={value} selected={value === selected}>
			{label}
		</option>
	));

interface SelectFieldProps extends FieldProps {
	readonly value?: string;
	readonly choices: Choices;
	onChange?(value: string): void;
}
export const SelectField = ({ value = "", choices, onChange, ...field }: SelectFieldProps) => (
	<Field {...field}>
		{(control) => (
			<select {...control} onChange={({ currentTarget }) => onChange?.(currentTarget.value)}>
				{optionsOf(choices, value)}
			</select>
		)}
	</Field>
);

export function CheckboxField({
	label,
	name,
	checked = false,
}: {
	label: string;
	name: string;
	checked?: boolean;
}) {
	return (
		<label class="checkbox">
			<input type="checkbox" name={name} defaultChecked={checked} /> {label}
		</label>
	);
}

/** A form of filters, which are query parameters: pages can be linked and reloaded. */
export const Filters = ({ children }: { children: ComponentChildren }) => (
	<search>
		<form class="filters" onSubmit={(event) => event.preventDefault()}>
			{children}
		</form>
	</search>
);

/** Milliseconds after the last key before a search starts. */
const TYPING_MS = 300;
const setFilter = (name: string, value: string) => setQuery({ [name]: value, page: undefined });

interface FilterProps {
	readonly label: string;
	/** Name of the query parameter. */
	readonly name: string;
}
export function TextFilter({
	label,
	name,
	type = "search",
}: FilterProps & { type?: "search" | "date" | "datetime-local" }) {
	const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
	const input = useRef<HTMLInputElement>(null);
	const value = query.value.get(name) ?? "";
	useEffect(() => {
		// The address has changed by other means than the input.
		if (input.current && document.activeElement !== input.current) input.current.value = value;
	}, [value]);
	const onInput = ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
		clearTimeout(timer.current);
		timer.current = setTimeout(() => setFilter(name, currentTarget.value.trim()), TYPING_MS);
	};
	useEffect(() => () => clearTimeout(timer.current), []);
	const attributes = { type, defaultValue: value } as ComponentProps<"input">;
	return (
		<label class="filter">
			<span>{label}</span>
			<input ref={input} {...attributes} autocomplete="off" onInput={onInput} />
		</label>
	);
}

interface SelectFilterProps extends FilterProps {
	readonly choices: Choices;
	/** Label of the choice that does not filter. */
	readonly all?: string;
}
export function SelectFilter({ label, name, choices, all = "All" }: SelectFilterProps) {
	return (
		<label class="filter">
			<span>{label}</span>
			<select onChange={({ currentTarget }) => setFilter(name, currentTarget.value)}>
				{optionsOf({ "": all, ...choices }, query.value.get(name) ?? "")}
			</select>
		</label>
	);
}
