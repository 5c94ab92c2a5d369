import { orderFlow } from "../support/order-flow.ts";
import { startShop } from "../support/shop.ts";

orderFlow(() => startShop());
