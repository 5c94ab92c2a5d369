import { href, path } from "./router.ts";
import { OrderList } from "./sections/orders/order-list.tsx";
import { signOut, user } from "./session.ts";

export function Shell() {
	return (
		<>
			<header>
				<nav>
					<a href={href("/orders")}>Orders</a>
				</nav>
				{user.value?.email}
				<button type="button" onClick={signOut}>
					Sign out
				</button>
			</header>
			<main>{path.value === "/orders" || path.value === "/" ? <OrderList /> : "Not found"}</main>
		</>
	);
}
