import { useEffect, useState } from "preact/hooks";
import { request } from "../../api.ts";

export function OrderList() {
	const [rows, setRows] = useState<{ id: string; status: string }[]>([]);
	useEffect(() => {
		request("GET", "/orders").then(setRows);
	}, []);
	return (
		<>
			<h1>Orders</h1>
			<ul>
				{rows.map(({ id, status }) => (
					<li key={id}>
						{id} {status}
					</li>
				))}
			</ul>
		</>
	);
}
