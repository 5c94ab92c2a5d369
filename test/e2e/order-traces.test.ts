import { orderTraces } from "../support/order-traces.ts";
import { startShop } from "../support/shop.ts";

orderTraces(() => startShop());
