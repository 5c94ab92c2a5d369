import { useState } from "preact/hooks";
import { reads } from "../../api.ts";
import { toastError } from "../../components/toast.tsx";

const LABELS = { csv: "Export CSV", ndjson: "Export NDJSON" };

/** Downloads all products. The browser writes the file while it is received. */
export function ExportButton({ format }: { format: keyof typeof LABELS }) {
	const [busy, setBusy] = useState(false);
	const onClick = async () => {
		if (busy) return;
		setBusy(true);
		try {
			// Renews the session, and shows an error, neither of which a download of the browser does.
			const { body } = await reads.products.exportRows({ format });
			await body.cancel();
			const link = document.createElement("a");
			link.href = `/api/products/export?format=${format}`;
			link.download = "";
			link.click();
		} catch (error) {
			toastError(error);
		} finally {
			setBusy(false);
		}
	};
	return (
		<button type="button" aria-disabled={busy} onClick={onClick}>
			{LABELS[format]}
		</button>
	);
}
