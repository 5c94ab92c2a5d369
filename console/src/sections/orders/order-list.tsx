import { useEffect, useState } from "preact/hooks";
import { shop } from "../../api.ts";

export function OrderList() {
	const [rows, setRows] = useState<{ id: string; status: string }[]>([]);
	useEffect(() => {
		shop.orders.list().then(setRows);
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
